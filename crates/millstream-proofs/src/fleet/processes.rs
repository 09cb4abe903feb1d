use std::fmt::Write as _;

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

use crate::fleet::member::{Kind, Member};
use crate::history::History;
use crate::site::Site;

/// The places of the processes. The first is the source.
const SOURCE: usize = 0;
pub(crate) const RELAYS: [usize; 2] = [1, 2];
/// HR's consumers and affiliate's.
pub(crate) const FOLLOWERS: [usize; 3] = [3, 4, 5];

/// Who is killed: each line is as likely as the others.
const VICTIMS: &[&[usize]] = &[&[0], &[1, 2], &[1, 2], &[3, 4], &[3, 4], &[5]];

/// How often, in percent, one is sought that is at work. The others hit whom they hit: also one that
/// is just starting, or waiting for the lease of a dead one.
const AT_WORK_PERCENT: u32 = 80;

/// All processes of a run.
#[derive(Debug)]
pub(crate) struct Fleet {
    members: Vec<Member>,
    victims: &'static [&'static [usize]],
    seed: u64,
    /// How many events may happen; all, if there is no bound.
    until: Option<u64>,
}

impl Fleet {
    /// Starts CRM, two relays, two consumers of HR, one of affiliate. `pace` is how many events happen in a second, `until` how many may happen
    /// before [`Self::allow`].
    pub(crate) fn start(
        site: &Site,
        history: &History,
        pace: Option<f64>,
        until: Option<u64>,
    ) -> anyhow::Result<Self> {
        let mut publisher = vec!["publisher".into()];
        publisher.extend(history.arguments());
        if let Some(pace) = pace {
            publisher.extend(["--pace".into(), pace.to_string().into()]);
        }
        let relay = || vec!["relay".into()];
        let consumer = |application: &str| vec!["consumer".into(), application.into()];
        let members = vec![
            Member::new("publisher", Kind::Source, site, publisher),
            Member::new("relay-1", Kind::Relay, site, relay()),
            Member::new("relay-2", Kind::Relay, site, relay()),
            Member::new("hr-1", Kind::Follower, site, consumer("hr")),
            Member::new("hr-2", Kind::Follower, site, consumer("hr")),
            Member::new("affiliate", Kind::Follower, site, consumer("affiliate")),
        ];
        Self::of(members, VICTIMS, history, until)
    }

    /// Starts these, the first of which is the source. `victims` are the places of those that are
    /// killed: each line is as likely as the others.
    pub(crate) fn of(
        members: Vec<Member>,
        victims: &'static [&'static [usize]],
        history: &History,
        until: Option<u64>,
    ) -> anyhow::Result<Self> {
        let mut fleet = Self {
            members,
            victims,
            seed: history.seed.unwrap_or_default(),
            until,
        };
        fleet.start_missing()?;
        Ok(fleet)
    }

    fn launch(&mut self, member: usize) -> anyhow::Result<()> {
        let kind = self.members[member].kind;
        let seed = self.seed.wrapping_add(1_000_000 * member as u64);
        let mut more = Vec::new();
        if let (Kind::Source, Some(until)) = (kind, self.until) {
            more = vec!["--until".into(), until.to_string().into()];
        }
        self.members[member].start((kind == Kind::Follower).then_some(seed), &more)
    }

    /// Lets so many events happen, all in all.
    pub(crate) fn allow(&mut self, until: u64) -> anyhow::Result<()> {
        self.until = Some(until);
        self.members[SOURCE].tell(until)
    }

    /// Kills one of them by SIGKILL and says which.
    pub(crate) fn kill(&mut self, random: &mut StdRng) -> anyhow::Result<usize> {
        let seeks = random.random_range(0..100) < AT_WORK_PERCENT;
        let at_work = |member: &usize| self.members[*member].pulse().done > 0;
        let mut lines: Vec<Vec<usize>> = self.victims.iter().map(|line| line.to_vec()).collect();
        if seeks && lines.iter().flatten().any(at_work) {
            lines.iter_mut().for_each(|line| line.retain(at_work));
            lines.retain(|line| !line.is_empty());
        }
        let line = lines.choose(random).expect("there are some");
        let victim = *line.choose(random).expect("no line is empty");
        self.members[victim].kill()?;
        Ok(victim)
    }

    /// Kills the one at this place by SIGKILL.
    pub(crate) fn kill_this(&mut self, place: usize) -> anyhow::Result<()> {
        self.members[place].kill()
    }

    /// Kills all of them by SIGKILL.
    pub(crate) fn kill_all(&mut self) -> anyhow::Result<()> {
        self.members.iter_mut().try_for_each(Member::kill)
    }

    /// Starts one again that was killed.
    pub(crate) fn restart(&mut self, victim: usize) -> anyhow::Result<()> {
        self.launch(victim)
    }

    /// Starts all that are not running.
    pub(crate) fn start_missing(&mut self) -> anyhow::Result<()> {
        for member in 0..self.members.len() {
            if !self.members[member].is_started() {
                self.launch(member)?;
            }
        }
        Ok(())
    }

    /// Stops the one at this place by SIGSTOP.
    pub(crate) fn freeze(&self, place: usize) -> anyhow::Result<()> {
        self.members[place].freeze()
    }

    /// Lets the one at this place go on.
    pub(crate) fn thaw(&self, place: usize) -> anyhow::Result<()> {
        self.members[place].thaw()
    }

    /// How much the one at this place has done in its present life.
    pub(crate) fn done(&self, place: usize) -> u64 {
        self.members[place].pulse().done
    }

    /// Fails if one ended by itself.
    pub(crate) fn must_live(&mut self) -> anyhow::Result<()> {
        let mut started = self.members.iter_mut().filter(|m| m.is_started());
        started.try_for_each(Member::must_live)
    }

    /// Stops all of them as SIGTERM would.
    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        self.members.iter_mut().try_for_each(Member::stop)
    }

    /// Stops those at these places as SIGTERM would.
    pub(crate) fn stop_these(&mut self, places: &[usize]) -> anyhow::Result<()> {
        places
            .iter()
            .try_for_each(|&place| self.members[place].stop())
    }

    /// Kills, and those that hit a process that had done something in that life.
    pub(crate) fn kills(&self) -> (u64, u64) {
        self.members
            .iter()
            .fold((0, 0), |(kills, at_work), member| {
                (kills + member.kills, at_work + member.kills_at_work)
            })
    }

    /// Entries that were delivered again.
    pub(crate) fn repeated(&self) -> u64 {
        self.members.iter().map(Member::repeated).sum()
    }

    /// Streams that were begun anew.
    pub(crate) fn repairs(&self) -> u64 {
        self.members.iter().map(Member::repairs).sum()
    }

    /// Who was killed how often.
    pub(crate) fn victims(&self) -> String {
        let victims = self
            .members
            .iter()
            .map(|member| format!("{} {}", member.name, member.kills));
        victims.collect::<Vec<_>>().join(", ")
    }

    /// The ends of all logs.
    pub(crate) fn last_words(&self) -> String {
        self.members.iter().fold(String::new(), |mut text, member| {
            writeln!(text, "-- {}\n{}", member.name, member.last_words()).expect("a string grows");
            text
        })
    }
}
