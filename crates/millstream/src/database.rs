use millstream_core::capture::Capture;
use millstream_core::outbox::Outbox;
use millstream_core::store::Store;

/// An application's database, of whichever kind: what arrives lands in it, what is to be sent comes
/// from it, and its tables can be captured.
pub trait Database: Store + Outbox + Capture {}

impl<T: Store + Outbox + Capture> Database for T {}
