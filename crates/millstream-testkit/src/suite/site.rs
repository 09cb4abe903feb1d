//! What the suites of an application's database stand on.

use std::future::Future;

use millstream_core::capture::Capture;
use millstream_core::name::AppName;
use millstream_core::outbox::Outbox;
use millstream_core::store::Store;

/// The database of application `hr`, whose first stream is `events`, made for one test.
///
/// Text is compared byte for byte in it, unless a column says otherwise.
pub trait Site: Sized + Send + Sync + 'static {
    /// The database as one process has it.
    type Handle: Store + Outbox + Capture + 'static;

    /// How many random programs a property tries: fewer where a database is dear.
    const CASES: u32 = crate::suite::model::CASES;

    /// Of how many statements one is tried as the last of a process, where there are hundreds.
    const STRIDE: u64 = 1;

    /// The query that finds the names of all tables, views and triggers of the database.
    const OBJECTS: &'static str;

    /// Makes an empty database with our tables, whose names begin with `prefix`.
    ///
    /// It goes away when it is dropped.
    fn make(prefix: &str) -> impl Future<Output = Self> + Send;

    /// Makes an empty database without our tables.
    fn bare() -> impl Future<Output = Self> + Send;

    /// Connects as an application would, with connections of its own.
    ///
    /// The handle has these handlers, for [these cases](crate::suite::store::handlers) to be tested:
    ///
    /// | event type | what the handler does |
    /// |---|---|
    /// | `account.credited` | adds `data.amount` to `accounts.balance`, or fails if there is no row |
    /// | `handler.fails` | writes into `effects (tenant_id, id)`, then returns an error |
    /// | `handler.panics` | the same, then panics |
    /// | `handler.conflicts` | the same twice, and returns what the database says to that |
    /// | `handler.commits` | the same, then commits the transaction that it was lent |
    /// | `handler.rolls_back` | the same, then rolls it back |
    /// | `handler.begins_anew` | rolls it back first, and leaves a row in another one |
    fn connect_as(&self, application: &AppName) -> impl Future<Output = Self::Handle> + Send;

    /// Connects as a process that dies before it begins its statement number `statements`, counted
    /// from 0 over all its connections, once they are open.
    ///
    /// Whether its calls fail from then on is open; what they did is lost.
    fn connect_mortal(&self, statements: u64) -> impl Future<Output = Self::Handle> + Send;

    /// Leaves the database as the mortal process left it, and says whether that died before its
    /// end. Its handle is of no use any more.
    fn bury(&self, handle: Self::Handle) -> impl Future<Output = bool> + Send;

    /// Runs statements as the application would, on its own connection.
    ///
    /// # Errors
    ///
    /// Fails with what the database says.
    fn execute(&self, sql: &str) -> impl Future<Output = Result<(), String>> + Send;

    /// What a query finds: each row as its values joined by `|`, with `NULL` for null.
    fn rows(&self, query: &str) -> impl Future<Output = Vec<String>> + Send;

    /// The statement that puts an outbox row into the place of the one with its event id. `into` is
    /// an INSERT without its first word.
    fn replace(into: &str) -> String;

    /// A name as statements of this database have it, whatever is in it.
    fn quoted(name: &str) -> String;

    /// The statement that gives a person of the table `people` a name, whether the row is there or not.
    fn upsert_name(tenant: &str, id: &str, name: &str) -> String {
        format!(
            "INSERT INTO people (tenant_id, id, name) VALUES ('{tenant}', '{id}', {name})
             ON CONFLICT (tenant_id, id) DO UPDATE SET name = excluded.name"
        )
    }

    /// Copies everything in the database, as its own tools do it while it is in use.
    fn back_up(&self) -> impl Future<Output = Vec<u8>> + Send;

    /// Puts a copy in the place of what is in the database, as an operator would. Connections of
    /// handles end.
    fn restore(&self, copy: &[u8]) -> impl Future<Output = ()> + Send;

    /// Connects as `hr`.
    fn connect(&self) -> impl Future<Output = Self::Handle> + Send {
        async { self.connect_as(&crate::app("hr")).await }
    }
}
