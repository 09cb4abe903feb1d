/// What has passed through a proxy, and what it has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Connections that clients have opened, those that were refused included.
    pub connections: u64,
    /// Those among them that were refused: by the mode, or because the server was away.
    pub refused: u64,
    /// Connections that are open now.
    pub open: u64,
    /// Bytes that came from clients.
    pub bytes_up: u64,
    /// Bytes that came from the server.
    pub bytes_down: u64,
    /// Replies that were dropped on purpose: each of their commands has run.
    pub replies_dropped: u64,
    /// Requests that were dropped on purpose: none of them has run.
    pub requests_dropped: u64,
}
