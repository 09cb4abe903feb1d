//! Keys, groups and scripts that are not what they were.

use super::*;

on_both! {
    a_key_holds_something_else
    scripts_are_forgotten
    a_group_goes_away_under_its_reader
    a_stream_goes_away_under_its_group
    a_group_is_gone
}

/// WRONGTYPE: loud, and over when the key is free.
async fn a_key_holds_something_else(flavour: Flavour) {
    let site = Site::in_memory(flavour).await;
    let key = shard(0).to_string();
    site.ask(&["SET", &key, "1"]).await;
    for error in [
        site.append().await.unwrap_err(),
        site.read().await.unwrap_err(),
        site.publish_position().await.unwrap_err(),
        site.transport.describe(&shard(0)).await.unwrap_err(),
    ] {
        check_misconfigured(&error, "the key holds something else");
    }
    site.ask(&["DEL", &key]).await;
    site.fill_shard().await;
    site.recovers().await;
}

/// NOSCRIPT is nobody's business but ours.
async fn scripts_are_forgotten(flavour: Flavour) {
    let site = Site::in_memory(flavour).await;
    site.ask(&["SCRIPT", "FLUSH"]).await;
    assert_eq!(site.append().await.unwrap(), Appended::Added);
    site.ask(&["SCRIPT", "FLUSH"]).await;
    site.publish_position().await.unwrap();
}

/// NOGROUP, or UNBLOCKED, in the middle of a wait.
async fn a_group_goes_away_under_its_reader(flavour: Flavour) {
    goes_away(flavour, &["XGROUP", "DESTROY", "shared", "hr"]).await;
}

async fn a_stream_goes_away_under_its_group(flavour: Flavour) {
    goes_away(flavour, &["DEL", "shared"]).await;
}

/// The group is made again from the beginning: what is there comes, and what is added.
async fn goes_away(flavour: Flavour, how: &[&str]) {
    let site = Site::in_memory(flavour).await;
    let (shared, member) = (stream("shared"), member());
    let waiting = async {
        let mut all = Vec::new();
        while all
            .iter()
            .all(|entry: &millstream_core::entry::Entry| entry.fields != fields(9))
        {
            let wait = Duration::from_secs(5);
            let read = site.transport.read_group(&shared, &member, ALL, wait).await;
            all.extend(read.unwrap());
        }
    };
    let disturbing = async {
        site.blocked().await;
        site.ask(how).await;
        site.transport.add(&shared, &fields(9)).await.unwrap();
    };
    tokio::time::timeout(OVER_MAX, async { tokio::join!(waiting, disturbing) })
        .await
        .expect("the reader goes on");
}

/// NOGROUP for everything that speaks of a group: there is nothing in it.
async fn a_group_is_gone(flavour: Flavour) {
    let site = Site::in_memory(flavour).await;
    let (shared, hr, member) = (stream("shared"), app("hr"), member());
    site.ask(&["XGROUP", "DESTROY", "shared", "hr"]).await;
    let transport = &site.transport;
    assert_eq!(transport.groups(&shared).await.unwrap(), []);
    let pending = transport.pending(&shared, &hr, EntryId::ZERO, 10).await;
    assert_eq!(pending.unwrap(), []);
    let claimed = transport.claim(&shared, &member, Duration::ZERO, EntryId::ZERO, ALL);
    assert_eq!(claimed.await.unwrap().entries, []);
    let ids = [EntryId::new(1, 1)];
    assert_eq!(transport.ack(&shared, &hr, &ids).await.unwrap(), 0);
    // Its reader begins again.
    assert_eq!(site.take().await.unwrap(), 2);
}
