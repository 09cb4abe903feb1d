use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::task::JoinSet;

use super::answer::Answer;
use super::compare::{Verdict, compare};
use super::declared::Difference;
use super::generate;
use super::operation::Operation;
use super::shorten::shorten;
use super::side::{Course, Names, Side};

/// How much is run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Replays a run.
    pub seed: u64,
    /// Operations at least, over all programs.
    pub operations: usize,
    /// Operations of one program.
    pub length: usize,
    /// Programs that run side by side, each on streams of its own.
    pub at_once: usize,
}

/// What a run has seen.
#[derive(Debug, Default)]
pub struct Report {
    /// Operations that were answered by both sides.
    pub operations: usize,
    /// How often each kind of operation had which kind of answer from the left.
    pub answers: BTreeMap<(&'static str, &'static str), usize>,
    /// How often each declared difference was seen.
    pub differences: BTreeMap<&'static str, usize>,
}

impl Report {
    fn add(&mut self, other: Self) {
        self.operations += other.operations;
        for (kind, count) in other.answers {
            *self.answers.entry(kind).or_default() += count;
        }
        for (name, count) in other.differences {
            *self.differences.entry(name).or_default() += count;
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} operations", self.operations)?;
        for ((operation, answer), count) in &self.answers {
            writeln!(f, "{count:>8} {operation}: {answer}")?;
        }
        for (name, count) in &self.differences {
            writeln!(f, "{count:>8} declared: {name}")?;
        }
        Ok(())
    }
}

/// A program whose answers differ, as short as could be found.
#[derive(Debug)]
pub struct Failure {
    seed: u64,
    number: u64,
    left: Side,
    right: Side,
    program: Vec<Operation>,
    answers: (Answer, Answer),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            number,
            left,
            right,
            program,
            answers,
        } = self;
        writeln!(f, "seed {seed}, program {number}: the last answer differs")?;
        for (step, operation) in program.iter().enumerate() {
            writeln!(f, "{:>4} {operation:?}", step + 1)?;
        }
        writeln!(f, "{left:?}: {:?}", answers.0)?;
        write!(f, "{right:?}: {:?}", answers.1)
    }
}

impl std::error::Error for Failure {}

/// Runs random programs on both sides until enough operations were answered alike.
///
/// # Errors
///
/// The first program that was answered differently, unless `declared` covers it.
pub async fn run(
    left: &Side,
    right: &Side,
    declared: &'static [Difference],
    options: Options,
) -> Result<Report, Box<Failure>> {
    let programs = options.operations.div_ceil(options.length) as u64;
    let next = Arc::new(AtomicU64::new(0));
    let pair = Pair {
        left: left.clone(),
        right: right.clone(),
        declared,
    };
    let mut workers = JoinSet::new();
    for _ in 0..options.at_once {
        let (next, pair) = (Arc::clone(&next), pair.clone());
        workers.spawn(async move {
            let mut report = Report::default();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= programs {
                    return Ok(report);
                }
                let program = generate::program(options.seed, number, options.length);
                let prefix = format!("d{}-{number}", options.seed);
                let (seen, different) = pair.answer(&prefix, &program).await;
                report.add(seen);
                if let Some(different) = different {
                    let program = program[..different.count].to_vec();
                    let failure = pair.shortest(options.seed, number, program, different);
                    return Err(Box::new(failure.await));
                }
            }
        });
    }
    let mut report = Report::default();
    while let Some(worker) = workers.join_next().await {
        report.add(worker.expect("a worker neither panics nor is aborted")?);
    }
    Ok(report)
}

#[derive(Debug, Clone)]
struct Pair {
    left: Side,
    right: Side,
    declared: &'static [Difference],
}

/// Where a program was answered differently.
struct Different {
    /// Operations up to there, that one included.
    count: usize,
    answers: (Answer, Answer),
}

impl Pair {
    /// Runs a program on streams that begin with `prefix`.
    async fn answer(&self, prefix: &str, program: &[Operation]) -> (Report, Option<Different>) {
        let mut report = Report::default();
        let names = Names::new(prefix);
        let mut left = Course::new(self.left.clone(), names.clone());
        let mut right = Course::new(self.right.clone(), names);
        for (at, operation) in program.iter().enumerate() {
            let answers = tokio::join!(left.step(operation), right.step(operation));
            match compare(self.declared, operation, &answers.0, &answers.1) {
                Verdict::Same => {}
                Verdict::Declared(which) => {
                    let name = self.declared[which].name;
                    *report.differences.entry(name).or_default() += 1;
                }
                Verdict::Different => {
                    let count = at + 1;
                    return (report, Some(Different { count, answers }));
                }
            }
            report.operations += 1;
            let kind = (operation.kind(), answers.0.kind());
            *report.answers.entry(kind).or_default() += 1;
        }
        (report, None)
    }

    async fn shortest(
        &self,
        seed: u64,
        number: u64,
        program: Vec<Operation>,
        different: Different,
    ) -> Failure {
        let mut tries = 0;
        let answers = Mutex::new(different.answers);
        let program = shorten(program, |candidate| {
            tries += 1;
            let prefix = format!("d{seed}-{number}-{tries}");
            let answers = &answers;
            async move {
                let (_, different) = self.answer(&prefix, &candidate).await;
                let different = different?;
                *answers.lock().expect("nobody panics with it") = different.answers;
                Some(different.count)
            }
        })
        .await;
        let answers = answers.into_inner().expect("nobody panics with it");
        Failure {
            seed,
            number,
            left: self.left.clone(),
            right: self.right.clone(),
            program,
            answers,
        }
    }
}
