use millstream_core::outbox::Outbox;
use millstream_core::store::Store;

/// An application's database, of whichever kind: what arrives lands in it, what is to be sent comes
/// from it.
pub trait Database: Store + Outbox {}

impl<T: Store + Outbox> Database for T {}
