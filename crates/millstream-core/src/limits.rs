//! Every bound that is not a matter of configuration, with its reason.

/// Bytes of one field of an entry, event data included.
///
/// Far below what any transport carries, so that a batch of the largest events still fits into
/// memory many times over.
pub const FIELD_BYTES_MAX: usize = 256 * 1024;

/// Bytes of all field names and values of one entry.
pub const ENTRY_BYTES_MAX: usize = 512 * 1024;

/// Fields of one entry. Redis scripts unpack at most some 8,000 arguments; an event has about 17.
pub const ENTRY_FIELDS_MAX: usize = 1_000;

/// Nesting of event data and metadata. `serde_json` itself stops at 128.
pub const JSON_DEPTH_MAX: usize = 64;

/// Members and elements of event data, counted over all levels.
pub const JSON_NODES_MAX: usize = 10_000;

/// Bytes of an event id, tenant id, entity id, partition key, or event type.
///
/// MariaDB indexes at most 3,072 bytes of one key, and an inbox index holds three of these.
pub const ID_BYTES_MAX: usize = 255;

/// Bytes of an application's or a stream's name.
pub const NAME_BYTES_MAX: usize = 64;

/// Applications that one event may address by name.
pub const TARGETS_MAX: usize = 64;

/// Columns that one mapping may set: a set of present columns is one 64-bit mask.
pub const MAPPED_COLUMNS_MAX: usize = 64;

/// Shards of one stream.
pub const SHARDS_MAX: u16 = 1_024;

/// Bytes of a reason kept beside a dead letter.
pub const REASON_BYTES_MAX: usize = 1_024;

/// Bytes of one expression of a mapping: past that, code is the better place for it.
pub const EXPRESSION_BYTES_MAX: usize = 1_024;

/// Loops inside loops of one expression. Each may run once for every node of the event data.
pub const EXPRESSION_LOOPS_MAX: usize = 2;

/// Sets of present columns that one mapping remembers a statement for.
///
/// Publishers send few of the 2^64; whoever sends more pays for a statement each time.
pub const SHAPES_MAX: usize = 256;

/// Bytes of a table's or a column's name: what PostgreSQL keeps of one.
pub const IDENTIFIER_BYTES_MAX: usize = 63;

/// Mappings of one application.
pub const MAPPINGS_MAX: usize = 10_000;

/// Messages to the owner of a stream that a transport keeps, about. A receipt that is pushed out is
/// healed by the next.
pub const ACKNOWLEDGMENTS_MAX: usize = 10_000;

/// Open exceptions that one receipt lists; of more only the number is told.
pub const EXCEPTIONS_MAX: usize = 100;

/// Applications that may subscribe to one stream.
pub const SUBSCRIBERS_MAX: usize = 256;

/// Tries of an event that conflicts before its deadline counts: a clock that jumps kills nothing.
pub const CONFLICT_TRIES_MIN: u32 = 6;

/// Parked events that are tried again in one transaction. All of them are in memory.
pub const AGAIN_MAX: usize = 100;
