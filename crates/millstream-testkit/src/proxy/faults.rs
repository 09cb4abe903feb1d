/// What is to happen to commands that are still to come, each once.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    replies: u64,
    replies_to: Vec<Vec<u8>>,
    requests: Vec<Vec<u8>>,
}

impl Faults {
    pub(crate) fn add_replies(&mut self, count: u64) {
        self.replies += count;
    }

    pub(crate) fn add_reply_to(&mut self, pattern: &[u8]) {
        self.replies_to.push(pattern.to_vec());
    }

    pub(crate) fn add_request(&mut self, pattern: &[u8]) {
        self.requests.push(pattern.to_vec());
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether the reply that begins now is to be dropped.
    pub(crate) fn take_reply(&mut self) -> bool {
        let take = self.replies > 0;
        self.replies = self.replies.saturating_sub(1);
        take
    }

    /// Whether the reply to this request is to be dropped.
    pub(crate) fn take_reply_to(&mut self, request: &[u8]) -> bool {
        take(&mut self.replies_to, request)
    }

    /// Whether this request is to be dropped.
    pub(crate) fn take_request(&mut self, request: &[u8]) -> bool {
        take(&mut self.requests, request)
    }
}

fn take(patterns: &mut Vec<Vec<u8>>, request: &[u8]) -> bool {
    let contains = |pattern: &Vec<u8>| {
        pattern.is_empty()
            || request
                .windows(pattern.len())
                .any(|window| window == pattern)
    };
    let found = patterns.iter().position(contains);
    found.is_some_and(|index| {
        patterns.remove(index);
        true
    })
}
