//! Servers that do not let us in, or not do something.

use super::*;

on_both! {
    a_password_is_wanted
    a_password_is_refused
    a_right_is_taken_away
    a_command_is_missing
}

/// NOAUTH, from the next connection on.
async fn a_password_is_wanted(flavour: Flavour) {
    let site = Site::in_memory(flavour).await;
    site.set("requirepass", "secret").await;
    site.ask(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    let error = says("NOAUTH", || site.append()).await;
    check_misconfigured(&error, "the server wants a password");
    let options = Options::parse(&site.server.url()).unwrap();
    let error = Transport::connect(options).await.unwrap_err();
    check_misconfigured(&error, "the server wants a password");
    site.set("requirepass", "").await;
    site.recovers().await;
}

/// WRONGPASS: somebody has changed it.
async fn a_password_is_refused(flavour: Flavour) {
    let site = Site::with_user(flavour).await;
    let change = ["ACL", "SETUSER", "worker", "resetpass", ">second"];
    site.ask(&change).await;
    site.ask(&["CLIENT", "KILL", "USER", "worker"]).await;
    let error = says("WRONGPASS", || site.append()).await;
    check_misconfigured(&error, "check user and password");
    for secret in ["first", "second"] {
        assert!(!error.to_string().contains(secret), "{error}");
    }
    site.ask(&["ACL", "SETUSER", "worker", ">first"]).await;
    site.recovers().await;
}

/// NOPERM, for a command of ours and for one inside of a script.
async fn a_right_is_taken_away(flavour: Flavour) {
    let site = Site::with_user(flavour).await;
    for right in ["xadd", "evalsha"] {
        site.ask(&["ACL", "SETUSER", "worker", &format!("-{right}")])
            .await;
        let error = site.append().await.unwrap_err();
        check_misconfigured(&error, "`millstream acl`");
        assert_eq!(site.read().await.unwrap(), BEFORE);
        site.ask(&["ACL", "SETUSER", "worker", &format!("+{right}")])
            .await;
    }
    site.ask(&["ACL", "SETUSER", "worker", "-xread"]).await;
    check_misconfigured(&site.read().await.unwrap_err(), "`millstream acl`");
    site.ask(&["ACL", "SETUSER", "worker", "+xread"]).await;
    site.recovers().await;
}

/// A command that an administrator has renamed.
async fn a_command_is_missing(flavour: Flavour) {
    let builder = Server::builder(flavour).in_memory();
    let builder = builder.setting("rename-command", &["XREAD", "HIDDEN"]);
    let server = builder.start().await.unwrap();
    let transport = client(&server).await;
    let shard = shard(0);
    let read = transport.read(&shard, EntryId::ZERO, ALL, Duration::ZERO);
    let error = read.await.unwrap_err();
    check_misconfigured(&error, "none of its commands renamed");
}
