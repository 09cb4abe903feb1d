//! Each role can do its work, and nothing else.

use std::time::Duration;

use millstream_core::descriptor::Descriptor;
use millstream_core::entry::EntryId;
use millstream_core::error::{Error, ErrorKind};
use millstream_core::log::{Log, Position};
use millstream_core::queue::{Member, Queue};
use millstream_testkit::server::{Flavour, Server};
use millstream_testkit::{app, database, entries, fields, instance, shard, stream};
use millstream_transport::redis::{Options, Role, Transport};

use super::{ALL, client};

const PASSWORD: &str = "pw";

struct Site {
    server: Server,
    admin: Transport,
}

impl Site {
    /// A server with something in every stream.
    async fn new(flavour: Flavour) -> Self {
        let server = Server::builder(flavour).in_memory().start().await.unwrap();
        let admin = client(&server).await;
        for number in 0..2 {
            let (shard, batch) = (shard(number), entries(1..=5));
            let appended = admin.append(&shard, EntryId::ZERO, &batch);
            appended.await.unwrap();
        }
        let published = admin.publish_position(&shard(0), &position(1)).await;
        published.unwrap();
        let events = stream("events");
        admin.add(&events, &fields(1)).await.unwrap();
        let read = admin
            .read_group(&events, &member(), ALL, Duration::ZERO)
            .await;
        assert_eq!(read.unwrap().len(), 1);
        admin.acknowledge(&app("crm"), &fields(1)).await.unwrap();
        Self { server, admin }
    }

    /// Connects as a user with the rules of a role of `crm`, publisher of `events`.
    async fn user(&self, role: Role) -> Transport {
        let rules = role.rules(&app("crm"), &[stream("events")]);
        let name = role.to_string();
        let mut command = vec!["ACL".into(), "SETUSER".into(), name.clone()];
        command.extend(["reset".into(), "on".into(), format!(">{PASSWORD}")]);
        command.extend(rules);
        self.server.command(&command).await.unwrap();
        let options = Options::parse(&self.server.url()).unwrap();
        Transport::connect(options.user(name).password(PASSWORD))
            .await
            .unwrap()
    }
}

fn descriptor() -> Descriptor {
    Descriptor::new(stream("events"), app("crm"), database("d1"), 2)
}

fn position(seq: u64) -> Position {
    Position {
        group: app("crm"),
        database: database("d1"),
        at: EntryId::new(1, seq),
    }
}

fn member() -> Member {
    Member {
        group: app("crm"),
        consumer: instance("1"),
    }
}

/// Refused by the server, in words that say what to do about it.
fn check_refused<T: std::fmt::Debug>(answer: Result<T, Error>, what: &str) {
    let error = answer.expect_err(what);
    assert_eq!(error.kind(), ErrorKind::Misconfigured, "{what}: {error}");
    assert!(
        error.to_string().contains("`millstream acl`"),
        "{what}: {error}"
    );
}

/// Everything that the two contracts have: which of it works.
async fn check(transport: &Transport, may: &[&str]) {
    let (events, crm) = (stream("events"), app("crm"));
    let (zero, top) = (EntryId::ZERO, EntryId::new(1, 5));
    let foreign = millstream_core::entry::Shard {
        owner: app("billing"),
        ..shard(0)
    };
    let mut unexpected = Vec::new();
    macro_rules! tried {
        ($($name:ident: $call:expr;)*) => {
            $(
                let answer = $call.await;
                if may.contains(&stringify!($name)) {
                    if let Err(error) = answer {
                        unexpected.push(format!("{}: {error}", stringify!($name)));
                    }
                } else {
                    check_refused(answer, stringify!($name));
                }
            )*
        };
    }
    tried! {
        append: transport.append(&shard(0), top, &entries(6..=7));
        append_nothing: transport.append(&shard(0), zero, &[]);
        append_elsewhere: transport.append(&foreign, zero, &entries(1..=1));
        replace: transport.replace(&shard(1), top, zero, &entries(1..=5));
        replace_by_nothing: transport.replace(&shard(1), top, top, &[]);
        replace_elsewhere: transport.replace(&foreign, zero, zero, &entries(1..=1));
        read: transport.read(&shard(0), zero, ALL, Duration::ZERO);
        publish_position: transport.publish_position(&shard(0), &position(3));
        positions: transport.positions(&shard(0));
        trim: transport.trim(&shard(0), EntryId::new(1, 2));
        describe: transport.describe(&shard(0));
        announce: transport.announce(&descriptor());
        publishers: transport.publishers(None);
        acknowledge: transport.acknowledge(&app("billing"), &fields(1));
        acknowledgments: transport.acknowledgments(&crm, zero, 10);
        acknowledgments_seen: transport.acknowledgments(&crm, EntryId::new(u64::MAX, 1), 10);
        acknowledgments_elsewhere: transport.acknowledgments(&app("billing"), zero, 10);
        add: transport.add(&events, &fields(2));
        read_group: transport.read_group(&events, &member(), ALL, Duration::ZERO);
        claim: transport.claim(&events, &member(), Duration::ZERO, zero, ALL);
        history: transport.history(&events, &member(), zero, ALL);
        ack: transport.ack(&events, &crm, &[top]);
        pending: transport.pending(&events, &crm, zero, 10);
        range: transport.range(&events, zero, ALL);
        describe_shared: transport.describe_shared(&events);
        groups: transport.groups(&events);
        consumers: transport.consumers(&events, &crm);
        forget_consumer: transport.forget_consumer(&events, &member());
        trim_shared: transport.trim_shared(&events, EntryId::new(1, 1));
        forget_positions: transport.forget_positions(&shard(0), &crm);
    }
    assert!(unexpected.is_empty(), "{unexpected:#?}");
}

/// What is neither ours nor any role's. What scripts do is tried above: they have no more rights.
async fn check_harmless(site: &Site, role: Role) {
    for command in [
        vec!["FLUSHALL"],
        vec!["CONFIG", "GET", "*"],
        vec!["KEYS", "*"],
        vec!["GET", "other"],
        vec!["DEL", "events:{crm:0}"],
        vec!["XDEL", "events:{crm:0}", "1-3"],
        vec!["SET", "events", "1"],
        vec!["ACL", "LIST"],
        vec!["SCRIPT", "FLUSH"],
    ] {
        let mut words = vec!["ACL".to_owned(), "DRYRUN".into(), role.to_string()];
        words.extend(command.iter().map(|word| (*word).to_owned()));
        let dry: String = site.server.query(&words).await.unwrap();
        assert_ne!(dry, "OK", "{role} may {command:?}");
    }
}

async fn roles(flavour: Flavour) {
    let site = Site::new(flavour).await;
    let connected = site.user(Role::Publisher).await;
    check(&connected, &["add"]).await;

    let site = Site::new(flavour).await;
    let may = [
        "append",
        "append_nothing",
        "replace",
        "replace_by_nothing",
        "read",
        "positions",
        "trim",
        "describe",
        "announce",
        "publishers",
        "acknowledgments",
        "acknowledgments_seen",
        "forget_positions",
    ];
    check(&site.user(Role::Relay).await, &may).await;

    let site = Site::new(flavour).await;
    let may = [
        // Comparing alone tells no more than describing.
        "append_nothing",
        "read",
        "publish_position",
        "positions",
        "describe",
        "publishers",
        "acknowledge",
        "read_group",
        "claim",
        "history",
        "ack",
        "pending",
        "range",
        "describe_shared",
        "groups",
        "consumers",
        "forget_consumer",
        "forget_positions",
    ];
    check(&site.user(Role::Consumer).await, &may).await;

    let site = Site::new(flavour).await;
    let may = [
        "trim",
        "describe",
        "publishers",
        "pending",
        "range",
        "describe_shared",
        "groups",
        "consumers",
        "trim_shared",
    ];
    check(&site.user(Role::Trimmer).await, &may).await;

    let site = Site::new(flavour).await;
    let may = [
        "read",
        "positions",
        "describe",
        "publishers",
        "acknowledgments",
        "acknowledgments_seen",
        "acknowledgments_elsewhere",
        "pending",
        "range",
        "describe_shared",
        "groups",
        "consumers",
    ];
    check(&site.user(Role::Observer).await, &may).await;
    for role in Role::ALL {
        site.user(role).await;
        check_harmless(&site, role).await;
    }
    let untouched = site
        .admin
        .read(&shard(0), EntryId::ZERO, ALL, Duration::ZERO)
        .await;
    assert_eq!(untouched.unwrap(), entries(1..=5));
}

#[tokio::test]
async fn each_role_does_its_work_on_redis_and_nothing_else() {
    roles(Flavour::Redis).await;
}

#[tokio::test]
async fn each_role_does_its_work_on_valkey_and_nothing_else() {
    roles(Flavour::Valkey).await;
}
