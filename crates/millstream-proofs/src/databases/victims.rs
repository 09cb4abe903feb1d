use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

/// One in so many kills hits a server, once everybody was hit.
const SERVER_ONE_IN: u32 = 4;

/// The places of the processes: each line is as likely as the others.
pub(super) const PROCESSES: &[&[usize]] = &[&[0], &[1, 2], &[3, 4], &[5, 6], &[7, 8]];

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Victim {
    Postgres,
    MariaDb,
    /// The process at this place.
    Process(usize),
    /// Whichever process chance finds at work.
    AnyProcess,
}

/// Who is killed in so many kills: first everybody once, in any order, then whom chance finds. Where
/// there are too few kills for that, the servers are among the first.
pub(super) fn plan(kills: usize, random: &mut StdRng) -> Vec<Victim> {
    let mut processes: Vec<Victim> = PROCESSES
        .iter()
        .flat_map(|line| line.iter().copied().map(Victim::Process))
        .collect();
    processes.shuffle(random);
    let mut plan = vec![Victim::Postgres, Victim::MariaDb];
    plan.extend(processes);
    plan.truncate(kills);
    plan.shuffle(random);
    while plan.len() < kills {
        let server = random.random_range(0..SERVER_ONE_IN) == 0;
        plan.push(match (server, random.random()) {
            (true, true) => Victim::Postgres,
            (true, false) => Victim::MariaDb,
            (false, _) => Victim::AnyProcess,
        });
    }
    plan
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn whoever_can_be_killed_is() {
        for seed in 0..100 {
            let mut random = StdRng::seed_from_u64(seed);
            let servers = [Victim::Postgres, Victim::MariaDb];
            for kills in 2..30 {
                let plan = plan(kills, &mut random);
                assert_eq!(plan.len(), kills);
                assert!(servers.iter().all(|server| plan.contains(server)));
                let hit = |place| plan.contains(&Victim::Process(place));
                assert!(kills < 11 || (0..9).all(hit), "{plan:?}");
            }
        }
    }
}
