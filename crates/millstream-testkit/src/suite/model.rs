//! Runs random programs against an implementation, and shrinks the one that fails.

use std::fmt::Debug;
use std::future::Future;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

/// Programs that one run tries, where places are cheap.
pub(crate) const CASES: u32 = 256;

/// Runs programs until one panics or fails; `run` gets its number and the program.
pub(crate) fn check<P, C, F>(
    programs: impl Strategy<Value = P>,
    prepare: impl Future<Output = C>,
    run: impl Fn(C, u32, P) -> F,
) where
    P: Debug,
    C: Clone,
    F: Future<Output = Result<(), TestCaseError>>,
{
    check_some(CASES, programs, prepare, run);
}

/// As [`check`], with so many programs.
pub(crate) fn check_some<P, C, F>(
    cases: u32,
    programs: impl Strategy<Value = P>,
    prepare: impl Future<Output = C>,
    run: impl Fn(C, u32, P) -> F,
) where
    P: Debug,
    C: Clone,
    F: Future<Output = Result<(), TestCaseError>>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let context = runtime.block_on(prepare);
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let number = std::cell::Cell::new(0);
    let result = TestRunner::new(config).run(&programs, |program| {
        number.set(number.get() + 1);
        runtime.block_on(run(context.clone(), number.get(), program))
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
