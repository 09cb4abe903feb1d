use super::control::Shared;
use super::resp::{Found, Scanner};

/// As much of a request is compared with what a fault asks for.
const REQUEST_KEPT_MAX: usize = 64 * 1024;

/// The requests and replies of one connection, told apart and counted.
#[derive(Debug)]
pub(crate) struct Dialogue {
    up: Scanner,
    down: Scanner,
    /// The beginning of the request that is under way.
    request: Vec<u8>,
    requests: u64,
    replies: u64,
    /// The request whose reply is not to arrive.
    doomed: Option<u64>,
}

/// How much of some bytes goes on, and whether the connection ends there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    All,
    Until(usize),
}

impl Dialogue {
    pub(crate) fn new() -> Self {
        Self {
            up: Scanner::new(),
            down: Scanner::new(),
            request: Vec::new(),
            requests: 0,
            replies: 0,
            doomed: None,
        }
    }

    /// Hears what the client says.
    pub(crate) fn up(&mut self, bytes: &[u8], shared: &Shared) -> Verdict {
        let mut begin = 0;
        for found in self.up.scan(bytes) {
            match found {
                Found::Begin(at, _) => {
                    self.request.clear();
                    begin = at;
                }
                Found::End(at) => {
                    self.keep(&bytes[begin..at]);
                    if self.request_ended(shared) {
                        // What went on of it before cannot run without its end.
                        return Verdict::Until(begin);
                    }
                    begin = at;
                }
            }
        }
        self.keep(&bytes[begin..]);
        Verdict::All
    }

    /// Hears what the server says.
    pub(crate) fn down(&mut self, bytes: &[u8], shared: &Shared) -> Verdict {
        for found in self.down.scan(bytes) {
            // Pushes belong to no request.
            let Found::Begin(at, kind) = found else {
                continue;
            };
            if kind == b'>' {
                continue;
            }
            if self.doomed == Some(self.replies) || shared.faults().take_reply() {
                shared.count(|counts| counts.replies_dropped += 1);
                return Verdict::Until(at);
            }
            self.replies += 1;
        }
        Verdict::All
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = REQUEST_KEPT_MAX - self.request.len();
        self.request
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Whether the request that has ended is not to go on.
    fn request_ended(&mut self, shared: &Shared) -> bool {
        let mut faults = shared.faults();
        if faults.take_request(&self.request) {
            shared.count(|counts| counts.requests_dropped += 1);
            return true;
        }
        if self.doomed.is_none() && faults.take_reply_to(&self.request) {
            self.doomed = Some(self.requests);
        }
        self.requests += 1;
        false
    }
}
