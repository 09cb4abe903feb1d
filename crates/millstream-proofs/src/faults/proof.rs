use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use millstream_testkit::proxy::Proxy;
use millstream_testkit::server::Server;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use crate::faults::args::Faults;
use crate::faults::fault::Fault;
use crate::faults::stage::Stage;
use crate::faults::tally::Tally;
use crate::fleet::FOLLOWERS;
use crate::play::{Play, runtime};
use crate::site::Served;
use crate::terminal::say;

/// How long followers stand still before something happens, in every other round: what they have not
/// settled may get lost.
const BEHIND: Duration = Duration::from_millis(300);

/// One in so many times, everything may settle before the next thing happens.
const CALM_ONE_IN: u32 = 3;

/// Lets things happen to a server, everything settle, and checks. Returns the line that says so.
pub(crate) fn faults(args: Faults) -> anyhow::Result<String> {
    let Faults {
        fault,
        idle,
        rounds,
        oom_seconds,
        flavour,
        run,
    } = args;
    let mut faults = Vec::new();
    for fault in fault {
        match fault {
            Fault::All => faults.extend(Fault::EACH),
            one => faults.push(one),
        }
    }
    if idle {
        faults.retain(|fault| fault.hits_the_idle());
    }
    if faults.is_empty() {
        bail!("this means nothing while nothing is published");
    }
    run.prove("redis", |folder, history, seed| {
        let runtime = runtime()?;
        // Everything that was answered is in its file, so that only what is cut is lost.
        let server = Server::builder(flavour.into()).setting("appendfsync", &["everysec"]);
        let server = runtime.block_on(server.start())?;
        let proxy = Proxy::start(server.address())?;
        let url = server.url_at(proxy.address());
        let play = Play::begin(folder, history, &url, &server.url())?;
        let mut stage = Stage {
            play,
            eyes: Served::connect(&server.url())?,
            server,
            proxy,
            random: StdRng::seed_from_u64(seed),
            tally: Tally::default(),
            oom: Duration::from_secs(oom_seconds),
            part: (0, 0),
            runtime,
        };
        let ran = stage.rounds(faults.clone(), rounds, idle);
        let ended = stage.play.finish(ran)?;
        stage.must_have_hurt(&faults, rounds)?;
        let idle = if idle { " while idle" } else { "" };
        Ok(format!(
            "redis: ok: {rounds} rounds{idle}: {}; {} repairs, {} entries again; {} events, {} \
             entries left; equal to {}; {} looks; {:.1} s; seed {seed}",
            stage.tally,
            stage.play.fleet.repairs(),
            stage.play.fleet.repeated(),
            stage.play.events,
            ended.entries,
            ended.compared,
            ended.looks,
            ended.seconds,
        ))
    })
}

impl Stage {
    /// Something happens in each part of the history.
    fn rounds(&mut self, mut faults: Vec<Fault>, rounds: u64, idle: bool) -> anyhow::Result<()> {
        let events = self.play.events;
        for round in 0..rounds {
            let turn = usize::try_from(round)? % faults.len();
            if turn == 0 {
                faults.shuffle(&mut self.random);
            }
            let fault = faults[turn];
            let (from, to) = (events * round / rounds, events * (round + 1) / rounds);
            self.part = (from, to);
            let behind = round % 2 == 0;
            let done = if idle {
                self.idle_round(fault, to, behind && fault != Fault::Kill)
            } else {
                self.busy_round(fault, behind)
            };
            done.with_context(|| format!("round {} of {rounds}, {fault}", round + 1))?;
            say(format!("round {} of {rounds}: {fault}", round + 1));
        }
        Ok(())
    }

    fn busy_round(&mut self, fault: Fault, behind: bool) -> anyhow::Result<()> {
        let (from, to) = self.part;
        // These last: whoever stood still for so long would lose more than sight of entries, and
        // a relay can only be succeeded while something is left to do.
        let behind = behind && !matches!(fault, Fault::Oom | Fault::StoppedRelay);
        if fault != Fault::StoppedRelay {
            self.play.fleet.allow(to)?;
            let at = self.random.random_range(from..=from + (to - from) / 2);
            self.play.published_to(at)?;
        }
        if behind {
            FOLLOWERS
                .iter()
                .try_for_each(|&place| self.play.fleet.freeze(place))?;
            thread::sleep(BEHIND);
        }
        let done = self.inject(fault);
        if behind && fault != Fault::Kill {
            self.thaw()?;
        }
        done?;
        if self.random.random_range(0..CALM_ONE_IN) == 0 {
            self.play.settle(to)?;
        }
        Ok(())
    }

    fn thaw(&self) -> anyhow::Result<()> {
        FOLLOWERS
            .iter()
            .try_for_each(|&place| self.play.fleet.thaw(place))
    }

    /// Whether anything was at stake: a proof without harm proves nothing.
    fn must_have_hurt(&self, faults: &[Fault], rounds: u64) -> anyhow::Result<()> {
        let robbed = faults.iter().all(|fault| fault.robs()) && rounds > 1;
        ensure!(
            !robbed || self.tally.lost > 0,
            "nothing was lost: {}",
            self.tally
        );
        ensure!(
            !robbed || self.tally.unsettled > 0 || faults.contains(&Fault::XdelLast),
            "nothing was lost that somebody needed: {}",
            self.tally
        );
        Ok(())
    }
}
