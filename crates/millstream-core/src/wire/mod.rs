//! Wire version 1: an event as flat fields of a stream's entry, and back.
//!
//! An owned stream speaks exactly one form: what [`encode_owned`] writes. On the shared stream
//! anybody may write with a plain XADD, so [`decode`] fills in what may be missing there, and
//! translates the other shapes that are met in the wild: a nested one, one JSON document, CloudEvents,
//! and the dialects of the streams that Millstream grew from.
//!
//! Event data stays the text that its publisher wrote; it is checked ([`json`]), not rewritten.

mod decode;
mod dialect;
mod encode;
pub mod field;
pub mod json;
mod owned;
mod shared;
mod slots;
mod target;

#[cfg(test)]
mod tests;

pub use decode::decode;
pub use encode::{encode_owned, encode_shared};
pub use shared::SOURCE_DEFAULT;
pub use target::{is_for, is_of};

/// The version of the wire that this program writes, and the newest that it reads.
pub const VERSION: &str = "1";
