//! Servers that take no writes, or none that need memory.

use super::*;

on_both! {
    full
    too_few_replicas
    cannot_save
}

/// OOM: consumers drain, receipts arrive, streams are trimmed; only what needs memory is refused.
async fn full(flavour: Flavour) {
    let site = Site::in_memory(flavour).await;
    site.set("maxmemory", "1").await;
    for refused in [
        site.append().await.map(drop),
        site.transport
            .add(&stream("shared"), &fields(3))
            .await
            .map(drop),
    ] {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(
            error.is_full() && error.to_string().contains("OOM"),
            "{error}"
        );
    }

    assert_eq!(site.read().await.unwrap(), BEFORE);
    assert_eq!(site.take().await.unwrap(), 0);
    let (shared, hr, crm) = (stream("shared"), app("hr"), app("crm"));
    let transport = &site.transport;
    let pending = transport.pending(&shared, &hr, EntryId::ZERO, 10).await;
    let pending: Vec<EntryId> = pending.unwrap().iter().map(|one| one.id).collect();
    assert_eq!(transport.ack(&shared, &hr, &pending).await.unwrap(), 2);
    transport.acknowledge(&crm, &fields(1)).await.unwrap();
    site.publish_position().await.unwrap();
    let trimmed = transport.trim(&shard(0), EntryId::new(1, 3)).await;
    assert_eq!(trimmed.unwrap(), 2);

    site.set("maxmemory", "0").await;
    assert_eq!(site.append().await.unwrap(), Appended::Added);
}

/// NOREPLICAS, which refuses acks and group reads too.
async fn too_few_replicas(flavour: Flavour) {
    let site = Site::in_memory(flavour).await;
    site.set("min-replicas-to-write", "1").await;
    check_outage(site.append().await, "too few replicas are connected");
    check_outage(site.take().await, "NOREPLICAS");
    check_outage(site.publish_position().await, "NOREPLICAS");
    assert_eq!(site.read().await.unwrap(), BEFORE);
    site.set("min-replicas-to-write", "0").await;
    site.recovers().await;
    site.publish_position().await.unwrap();
}

/// MISCONF: its last snapshot failed.
async fn cannot_save(flavour: Flavour) {
    let builder = Server::builder(flavour).in_memory();
    let builder = builder.setting("dbfilename", &["dump"]);
    let site = Site::new(builder.setting("save", &["3600", "1000000"])).await;
    // Root writes wherever it wants to, but not over a folder.
    let dump = site.server.folder().join("dump");
    std::fs::create_dir(&dump).unwrap();
    save(&site, "err").await;
    check_outage(site.append().await, "cannot save to its disk");
    check_outage(site.take().await, "MISCONF");
    assert_eq!(site.read().await.unwrap(), BEFORE);
    std::fs::remove_dir(&dump).unwrap();
    save(&site, "ok").await;
    site.recovers().await;
}

/// Has it write a snapshot, and waits for how that ended.
async fn save(site: &Site, expected: &str) {
    site.ask(&["BGSAVE"]).await;
    let ended = format!("rdb_last_bgsave_status:{expected}");
    site.shows("persistence", &["rdb_bgsave_in_progress:0", &ended])
        .await;
}
