//! Servers that have no time, or no room for one more connection.

use super::*;

on_both! {
    busy
    loading
    too_many_clients
}

/// BUSY: somebody's script does not end.
async fn busy(flavour: Flavour) {
    let site = Site::in_memory(flavour).await;
    site.set("busy-reply-threshold", "1").await;
    let mut other = site.server.connect().await.unwrap();
    let endless = tokio::spawn(async move {
        let mut script = redis::cmd("EVAL");
        script.arg("while true do end").arg(0);
        script.query_async::<()>(&mut other).await
    });
    let error = says("BUSY", || async { site.read().await }).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    check_outage(site.append().await, "BUSY");
    site.ask(&["SCRIPT", "KILL"]).await;
    endless.await.unwrap().unwrap_err();
    site.recovers().await;
}

/// LOADING: it is back, and reads what it had.
async fn loading(flavour: Flavour) {
    let builder = Server::builder(flavour).setting("rdbcompression", &["no"]);
    // A key every so many microseconds, with a look at the clients in between.
    let builder = builder.setting("key-load-delay", &["50000"]);
    let builder = builder.setting("loading-process-events-interval-bytes", &["1024"]);
    let site = Site::new(builder).await;
    let large = "x".repeat(4096);
    for number in 0..20 {
        site.ask(&["SET", &format!("other-{number}"), &large]).await;
    }
    site.ask(&["BGREWRITEAOF"]).await;
    let rewritten = ["aof_rewrite_in_progress:0", "aof_rewrite_scheduled:0"];
    site.shows("persistence", &rewritten).await;
    site.server.kill().unwrap();
    site.server.start_unready().unwrap();
    let error = says("LOADING", || site.append()).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    site.server.ready().await.unwrap();
    site.recovers().await;
}

/// A connection that broke, and none instead.
async fn too_many_clients(flavour: Flavour) {
    let site = Site::in_memory(flavour).await;
    let mut held = site.server.connect().await.unwrap();
    let mut ask = async |words: &[&str]| {
        let mut command = redis::Cmd::new();
        for word in words {
            command.arg(word);
        }
        command
            .query_async::<redis::Value>(&mut held)
            .await
            .unwrap();
    };
    ask(&["CONFIG", "SET", "maxclients", "1"]).await;
    ask(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    let error = says("max number of clients", || site.append()).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    ask(&["CONFIG", "SET", "maxclients", "100"]).await;
    site.recovers().await;
}
