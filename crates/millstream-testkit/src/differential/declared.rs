use super::answer::{Answer, Claimed};
use super::operation::{Operation, QueueOperation};

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
pub const DECLARED: &[Difference] = &[Difference {
    name: "a claim may lead on to an empty page",
    reply: "XAUTOCLAIM answers with the id of the next pending entry whether or not it has been idle for \
            long enough, and looks at ten times COUNT of them at most",
    covers: |operation, embedded, server| match (operation, embedded, server) {
        (
            Operation::Queue(QueueOperation::Claim { .. }),
            Answer::Claimed(embedded),
            Answer::Claimed(server),
        ) => {
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
}];
