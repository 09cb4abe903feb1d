//! Servers that are not, or no longer, the ones to ask.

use super::*;

use millstream_testkit::server::{Cluster, Sentinel};

on_both! {
    it_becomes_a_replica
    a_replica_without_its_master
    a_replica_under_a_blocked_reader
    a_cluster_without_slots
    a_node_of_a_cluster_by_itself
}

/// A master that nobody can reach.
const NOWHERE: [&str; 3] = ["REPLICAOF", "127.0.0.1", "1"];

const NO_ONE: [&str; 3] = ["REPLICAOF", "NO", "ONE"];

/// READONLY, after which it is asked for its role.
async fn it_becomes_a_replica(flavour: Flavour) {
    let site = Site::in_memory(flavour).await;
    site.ask(&NOWHERE).await;
    let error = site.append().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("READONLY"), "{error}");
    site.ask(&NO_ONE).await;
    site.recovers().await;
}

/// MASTERDOWN.
async fn a_replica_without_its_master(flavour: Flavour) {
    let site = Site::in_memory(flavour).await;
    site.set("replica-serve-stale-data", "no").await;
    site.ask(&NOWHERE).await;
    let error = says("MASTERDOWN", || site.read()).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    site.ask(&NO_ONE).await;
    site.recovers().await;
}

/// UNBLOCKED, and the connection is closed: the reader hears of it before its wait is over.
async fn a_replica_under_a_blocked_reader(flavour: Flavour) {
    let site = Site::in_memory(flavour).await;
    let (shared, member) = (stream("shared"), member());
    let wait = Duration::from_secs(10);
    let begun = Instant::now();
    let waiting = site.transport.read_group(&shared, &member, ALL, wait);
    let demoting = async {
        site.blocked().await;
        site.ask(&NOWHERE).await;
    };
    let (read, ()) = tokio::join!(waiting, demoting);
    let error = read.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(begun.elapsed() < wait, "{error}");
    site.ask(&NO_ONE).await;
    site.recovers().await;
}

/// CLUSTERDOWN, until somebody gives out the slots.
async fn a_cluster_without_slots(flavour: Flavour) {
    let builder = Server::builder(flavour).in_memory();
    let builder = builder.setting("cluster-enabled", &["yes"]);
    let server = builder.start().await.unwrap();
    let url = format!("redis+cluster://{}", server.address());
    let connect = || Transport::connect(Options::parse(&url).unwrap());
    let error = connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let slots = ["CLUSTER", "ADDSLOTSRANGE", "0", "16383"];
    server.command(&slots).await.unwrap();
    let transport = eventually(connect).await;
    let site = Site { server, transport };
    eventually(|| site.read()).await;
    site.fill().await;

    site.ask(&["CLUSTER", "DELSLOTSRANGE", "0", "16383"]).await;
    let error = says("CLUSTERDOWN", || site.append()).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    site.ask(&slots).await;
    site.recovers().await;
}

/// MOVED, where one server was named and no Cluster.
async fn a_node_of_a_cluster_by_itself(flavour: Flavour) {
    let cluster = Cluster::start(flavour).await.unwrap();
    let others = cluster.masters_without(&shard(0).to_string()).await;
    let transport =
        match Transport::connect(Options::parse(&others.unwrap()[0].url()).unwrap()).await {
            Ok(transport) => transport,
            Err(error) => return check_misconfigured(&error, "use redis+cluster://"),
        };
    let (shard, batch) = (shard(0), entries(1..=1));
    let append = transport.append(&shard, EntryId::ZERO, &batch);
    check_misconfigured(&append.await.unwrap_err(), "use redis+cluster://");
}

/// MOVED and ASK: batches follow their slot, while it moves, in order and once.
#[tokio::test]
async fn a_slot_moves_between_batches_and_under_them() {
    let cluster = Cluster::start(Flavour::Redis).await.unwrap();
    let options = Options::parse(&cluster.url()).unwrap();
    let transport = Transport::connect(options).await.unwrap();
    let (shard, key) = (shard(0), shard(0).to_string());
    let append = async |from: u64, to: u64| {
        let last = EntryId::new(u64::from(from > 1), from - 1);
        let appended =
            eventually(|| async { transport.append(&shard, last, &entries(from..=to)).await });
        assert_eq!(appended.await, Appended::Added, "{from}");
    };
    append(1, 10).await;
    let to = cluster.masters_without(&key).await.unwrap()[0];
    let moving = cluster.move_slot(&key, to).await.unwrap();
    append(11, 20).await;
    moving.key(&key).await.unwrap();
    // The old master sends us to the new one, which wants to be asked nicely.
    append(21, 30).await;
    moving.finish().await.unwrap();
    append(31, 40).await;
    let read = transport
        .read(&shard, EntryId::ZERO, ALL, Duration::ZERO)
        .await;
    assert_eq!(read.unwrap(), entries(1..=40));

    // And now without a stop.
    let to = cluster.masters_without(&key).await.unwrap()[0];
    let loading = async {
        for batch in 4..104 {
            append(batch * 10 + 1, batch * 10 + 10).await;
        }
    };
    let moving = async { cluster.moved_slot(&key, to).await.unwrap() };
    tokio::join!(loading, moving);
    let read = transport
        .read(&shard, EntryId::ZERO, ALL, Duration::ZERO)
        .await;
    assert_eq!(read.unwrap(), entries(1..=1040));
}

/// Sentinels go on naming it for a while: its own word counts.
#[tokio::test]
async fn a_master_that_sentinels_name_and_that_is_none() {
    let sentinel = Sentinel::start(Flavour::Redis, 1).await.unwrap();
    let options = Options::parse(&sentinel.url()).unwrap();
    let master = sentinel.master().await.unwrap();
    let (host, port) = (master.address().ip(), master.address().port());
    let others = sentinel.nodes().iter();
    let replica = others
        .into_iter()
        .find(|node| node.address() != master.address());
    let replica = replica.unwrap().address();
    master
        .command(&["REPLICAOF", &host.to_string(), &replica.port().to_string()])
        .await
        .unwrap();
    let error = Transport::connect(options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let text = error.to_string();
    assert!(
        text.contains(&port.to_string()) && text.contains("not the master"),
        "{text}"
    );
}
