use super::answer::{Answer, Claimed};
use super::operation::Operation;

/// A difference between the embedded log and a server that is none of a contract.
#[derive(Debug, Clone, Copy)]
pub struct Difference {
    /// What differs, in a few words.
    pub name: &'static str,
    /// The server's reply that forces it.
    pub reply: &'static str,
    /// Whether these answers to this operation differ in that way: the embedded log's, the server's.
    pub(super) covers: fn(&Operation, &Answer, &Answer) -> bool,
}

/// All that may differ between the embedded log, on the left, and Redis or Valkey, on the right.
pub const DECLARED: &[Difference] = &[
    Difference {
        name: "a consumer that was never handed anything may not be known",
        reply: "XREADGROUP … > that finds nothing answers nil and, up to Redis 7.0, makes no consumer: \
                XINFO CONSUMERS does not list it, XGROUP DELCONSUMER has nothing to remove",
        covers: |_, embedded, server| match (embedded, server) {
            (Answer::Forgotten(embedded), Answer::Forgotten(server)) => *embedded && !server,
            (Answer::Consumers(embedded), Answer::Consumers(server)) => {
                server.iter().all(|consumer| embedded.contains(consumer))
                    && embedded
                        .iter()
                        .all(|consumer| consumer.pending == 0 || server.contains(consumer))
            }
            _ => false,
        },
    },
    Difference {
        name: "a page of pending entries may lead on to an empty one",
        reply: "XAUTOCLAIM answers the id of the next pending entry, idle long enough or not, and XPENDING \
                does not tell whether more follow than were asked for",
        covers: |_, embedded, server| match (embedded, server) {
            (Answer::Claimed(embedded), Answer::Claimed(server)) => {
                let more = true;
                !embedded.more
                    && *server
                        == Claimed {
                            more,
                            ..embedded.clone()
                        }
            }
            _ => false,
        },
    },
];
