//! The names of the fields.

/// The identity of the event.
pub const EVENT_ID: &str = "eventId";
/// What happened.
pub const EVENT_TYPE: &str = "eventType";
/// The version of the event's schema.
pub const VERSION: &str = "version";
/// The application in which it happened.
pub const SOURCE: &str = "sourceApplication";
/// The applications that it is for.
pub const TARGET: &str = "targetApplication";
/// The customer that it belongs to.
pub const TENANT: &str = "tenantId";
/// The entity that it is about.
pub const ENTITY: &str = "entityId";
/// When it happened, for people.
pub const TIMESTAMP: &str = "timestamp";
/// Who or what caused it.
pub const PUBLISHED_BY: &str = "publishedBy";
/// What it says.
pub const DATA: &str = "eventData";
/// What accompanies it.
pub const METADATA: &str = "metadata";
/// The version of the wire; owned streams only, as everything below.
pub const WIRE: &str = "wire";
/// What must stay in order.
pub const PARTITION_KEY: &str = "partitionKey";
/// The how-manieth event of its key it is.
pub const ENTITY_VERSION: &str = "entityVersion";
/// The generation of the shard.
pub const GENERATION: &str = "generation";
/// The seq in the shard.
pub const SEQ: &str = "seq";
/// The event before it in the shard; absent before the first of a generation.
pub const PREV: &str = "prev";
