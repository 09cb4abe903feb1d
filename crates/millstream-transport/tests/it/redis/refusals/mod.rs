//! Each refusal, forced from a live server: what it means to us, what still works meanwhile, and that
//! the same handle works again when its cause is gone.

mod access;
mod crowded;
mod keys;
mod roles;
mod writes;

use std::fmt::Debug;
use std::time::{Duration, Instant};

use millstream_core::entry::EntryId;
use millstream_core::error::{Error, ErrorKind};
use millstream_core::log::{Appended, Log, Position};
use millstream_core::queue::{Member, Queue};
use millstream_testkit::server::{Builder, Flavour, Server};
use millstream_testkit::{app, database, entries, fields, instance, shard, stream};
use millstream_transport::redis::{Options, Transport};

use super::{ALL, client};

/// No refusal outlives its cause for longer. Reached only by a defect.
const OVER_MAX: Duration = Duration::from_secs(15);

const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Entries of the shard that each site begins with.
const BEFORE: u64 = 5;

/// A server, and a handle that has been at work on it.
struct Site {
    server: Server,
    transport: Transport,
}

impl Site {
    async fn new(builder: Builder) -> Self {
        let server = builder.start().await.unwrap();
        let transport = client(&server).await;
        let site = Self { server, transport };
        site.fill().await;
        site
    }

    async fn in_memory(flavour: Flavour) -> Self {
        Self::new(Server::builder(flavour).in_memory()).await
    }

    /// Connects as somebody who may do everything, until a test takes something away.
    async fn with_user(flavour: Flavour) -> Self {
        let builder = Server::builder(flavour).in_memory();
        let rules = ["on", ">first", "~*", "&*", "+@all"];
        let server = builder.user("worker", &rules).start().await.unwrap();
        let options = Options::parse(&server.url()).unwrap();
        let options = options.user("worker").password("first");
        let transport = Transport::connect(options).await.unwrap();
        let site = Self { server, transport };
        site.fill().await;
        site
    }

    async fn fill(&self) {
        self.fill_shard().await;
        for seq in 1..=2 {
            let added = self.transport.add(&stream("shared"), &fields(seq)).await;
            added.unwrap();
        }
        let taken = self.take().await.unwrap();
        assert_eq!(taken, 2);
    }

    async fn fill_shard(&self) {
        let (shard, batch) = (shard(0), entries(1..=BEFORE));
        let appended = self.transport.append(&shard, EntryId::ZERO, &batch).await;
        assert_eq!(appended.unwrap(), Appended::Added);
    }

    /// Waits until somebody waits at the server.
    async fn blocked(&self) {
        self.shows("clients", &["blocked_clients:1"]).await;
    }

    /// Waits until the server says all of this about itself, since it has no signal for it.
    async fn shows(&self, section: &str, lines: &[&str]) {
        let end = Instant::now() + OVER_MAX;
        loop {
            let info: String = self.server.query(&["INFO", section]).await.unwrap();
            if lines.iter().all(|line| info.contains(line)) {
                return;
            }
            assert!(Instant::now() < end, "{info}");
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// How many entries of the shared stream were handed over.
    async fn take(&self) -> Result<usize, Error> {
        let (stream, member) = (stream("shared"), member());
        let read = self
            .transport
            .read_group(&stream, &member, ALL, Duration::ZERO);
        Ok(read.await?.len())
    }

    /// The next append that the shard takes.
    async fn append(&self) -> Result<Appended, Error> {
        let last = EntryId::new(1, BEFORE);
        let batch = entries(BEFORE + 1..=BEFORE + 2);
        self.transport.append(&shard(0), last, &batch).await
    }

    async fn read(&self) -> Result<u64, Error> {
        let shard = shard(0);
        let read = self
            .transport
            .read(&shard, EntryId::ZERO, ALL, Duration::ZERO);
        Ok(read.await?.len() as u64)
    }

    async fn publish_position(&self) -> Result<(), Error> {
        let position = Position {
            group: app("hr"),
            database: database("d1"),
            at: EntryId::new(1, 3),
        };
        self.transport.publish_position(&shard(0), &position).await
    }

    async fn set(&self, name: &str, value: &str) {
        self.ask(&["CONFIG", "SET", name, value]).await;
    }

    async fn ask(&self, words: &[&str]) {
        let answer = self.server.command(words).await;
        answer.unwrap_or_else(|error| panic!("{words:?}: {error}"));
    }

    /// Waits until appends are taken again, by the handle that was refused.
    async fn recovers(&self) {
        let appended = eventually(|| self.append()).await;
        // One whose answer was lost was carried out all the same.
        let taken = Appended::Mismatch {
            last: EntryId::new(1, BEFORE + 2),
        };
        assert!(
            appended == Appended::Added || appended == taken,
            "{appended:?}"
        );
        assert_eq!(eventually(|| self.read()).await, BEFORE + 2);
    }
}

fn member() -> Member {
    Member {
        group: app("hr"),
        consumer: instance("1"),
    }
}

/// The first answer that is none of the errors of a pause between attempts.
async fn eventually<T, F: Future<Output = Result<T, Error>>>(ask: impl Fn() -> F) -> T {
    let end = Instant::now() + OVER_MAX;
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => assert!(Instant::now() < end, "{error}"),
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// Waits until an error says this.
async fn says<T: Debug, F: Future<Output = Result<T, Error>>>(
    part: &str,
    ask: impl Fn() -> F,
) -> Error {
    let end = Instant::now() + OVER_MAX;
    loop {
        let answer = ask().await;
        if let Err(error) = answer {
            if error.to_string().contains(part) {
                return error;
            }
            assert!(Instant::now() < end, "{error}");
        } else {
            assert!(Instant::now() < end, "{answer:?} where {part} is due");
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// An outage that passes by itself: nobody counts an attempt.
#[track_caller]
fn check_outage<T: Debug>(answer: Result<T, Error>, part: &str) {
    let error = answer.expect_err(part);
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains(part), "{error}");
    assert!(!error.is_full(), "{error}");
}

/// Something that a person has to mend, with words on how.
#[track_caller]
fn check_misconfigured(error: &Error, step: &str) {
    assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error}");
    assert!(error.to_string().contains(step), "{error}");
}

/// The same cases on both servers.
macro_rules! on_both {
    ($($case:ident)*) => {
        mod on_redis {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case(millstream_testkit::server::Flavour::Redis).await;
                }
            )*
        }
        mod on_valkey {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case(millstream_testkit::server::Flavour::Valkey).await;
                }
            )*
        }
    };
}

use on_both;
