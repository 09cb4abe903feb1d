//! `[transport]` with Redis: what is read from it, and how each mistake is shown.

use std::fs;

use anyhow::Result;
use millstream::Config;
use millstream::core::error::ErrorKind;
use tempfile::TempDir;

const APP: &str = "\n[apps.hr]\ndatabase = \"sqlite:hr.db\"\n";

/// What comes of a section; files that it may name lie beside it.
fn load(section: &str) -> (TempDir, Result<Config, millstream::config::Error>) {
    let folder = tempfile::tempdir().unwrap();
    for (file, text) in [
        ("ca.pem", "none"),
        ("redis.password", "hunter2\n"),
        ("empty.password", "\n"),
    ] {
        fs::write(folder.path().join(file), text).unwrap();
    }
    let path = folder.path().join("millstream.toml");
    fs::write(&path, format!("[transport]\n{section}\n{APP}")).unwrap();
    let config = Config::load(&path);
    (folder, config)
}

/// What is said about a section that cannot be used.
#[track_caller]
fn refusal(section: &str) -> String {
    let (folder, config) = load(section);
    let error = config.unwrap_err().to_string();
    assert!(!error.contains("hunter2"), "{error}");
    // The renderer leaves blanks at the ends of lines.
    let lines: Vec<_> = error.lines().map(str::trim_end).collect();
    lines
        .join("\n")
        .replace(&format!("{}/", folder.path().display()), "")
}

/// How a transport is shown.
#[track_caller]
fn check(section: &str, expected: &str) {
    let (_folder, config) = load(section);
    let transport = config.unwrap().transport;
    assert_eq!(transport.to_string(), expected);
    assert!(!format!("{transport:?}").contains("hunter2"));
}

#[test]
fn every_form_is_read_and_shown_without_secrets() {
    for (url, expected) in [
        ("redis://db", "redis://db:6379"),
        ("redis://hr:hunter2@db:6380/2", "redis://db:6380/2"),
        ("rediss://db", "rediss://db:6379"),
        (
            "redis+sentinel://a,b:7/main",
            "redis+sentinel://a:26379,b:7/main",
        ),
        (
            "rediss+sentinel://:hunter2@a/main",
            "rediss+sentinel://a:26379/main",
        ),
        ("redis+cluster://a:1,b:2", "redis+cluster://a:1,b:2"),
        ("rediss+cluster://a:1", "rediss+cluster://a:1"),
        (
            "redis+unix:///run/redis.sock",
            "redis+unix:///run/redis.sock",
        ),
    ] {
        check(&format!("url = \"{url}\""), expected);
    }
}

#[test]
fn user_password_and_files_stand_beside_the_url() {
    check(
        "url = \"redis://db\"\nusername = \"hr\"\npassword = \"hunter2\"",
        "redis://db:6379",
    );
    check(
        "url = \"redis://db\"\npassword_file = \"redis.password\"",
        "redis://db:6379",
    );
    check(
        "url = \"rediss://db\"\nca = \"ca.pem\"\ncertificate = \"ca.pem\"\nkey = \"ca.pem\"",
        "rediss://db:6379",
    );
    check(
        "url = \"redis+sentinel://a/m\"\nsentinel_username = \"s\"\nsentinel_password = \"hunter2\"",
        "redis+sentinel://a:26379/m",
    );
}

#[tokio::test]
async fn files_are_those_beside_the_configuration() -> Result<()> {
    let (folder, config) = load("url = \"rediss://127.0.0.1:1\"\nca = \"ca.pem\"");
    let error = millstream::connect_to(&config?.transport)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
    let file = folder.path().join("ca.pem");
    let message = error.to_string();
    assert!(message.contains(&file.display().to_string()), "{message}");
    Ok(())
}

#[test]
fn a_url_of_no_known_form_is_shown() {
    insta::assert_snapshot!(refusal("url = \"redi://db\""), @r#"
    error: a transport looks like redis://127.0.0.1:6379 or sqlite:data/events.db
     --> millstream.toml:2:7
      |
    2 | url = "redi:****"
      |       ^^^^^^^^^^^
    "#);
    insta::assert_snapshot!(refusal("url = \"redis://hr:hunter2@db:port\""), @r#"
    error: the URL of the transport does not name one host, or its port is not a number
     --> millstream.toml:2:7
      |
    2 | url = "redis:********************"
      |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
    insta::assert_snapshot!(refusal("url = \"redis+sentinel://a,b\""), @r#"
    error: the URL of the transport names no master, as in …/mymaster
     --> millstream.toml:2:7
      |
    2 | url = "redis+sentinel:*****"
      |       ^^^^^^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn a_database_is_no_transport() {
    insta::assert_snapshot!(refusal("url = \"postgres://hr:hunter2@db/hr\""), @r#"
    error: postgres is a database and carries no events; use redis://HOST or sqlite:FILE
     --> millstream.toml:2:7
      |
    2 | url = "postgres:******************"
      |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn a_transport_is_no_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("millstream.toml");
    let text = format!("[transport]\nurl = \"redis://db\"\n{APP}");
    fs::write(&path, text.replace("sqlite:hr.db", "redis://:hunter2@db")).unwrap();
    let error = Config::load(&path).unwrap_err().to_string();
    assert!(
        error.contains("redis carries events and is no database"),
        "{error}"
    );
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn keys_of_redis_beside_a_file_are_shown() {
    insta::assert_snapshot!(refusal("url = \"sqlite:events.db\"\nusername = \"hr\"\npassword = \"hunter2\""), @r#"
    error: username is for Redis, and the transport is a file
     --> millstream.toml:3:12
      |
    3 | username = "hr"
      |            ^^^^
      |
      = help: leave it out, or write url = "redis://…"

    error: password is for Redis, and the transport is a file
     --> millstream.toml:4:12
      |
    4 | password = *********
      |            ^^^^^^^^^
      |
      = help: leave it out, or write url = "redis://…"
    "#);
}

#[test]
fn a_password_that_is_given_twice_is_shown() {
    insta::assert_snapshot!(refusal("url = \"redis://db\"\npassword = \"hunter2\"\npassword_file = \"redis.password\""), @r#"
    error: the password is given twice
     --> millstream.toml:4:17
      |
    4 | password_file = "redis.password"
      |                 ^^^^^^^^^^^^^^^^
    "#);
    insta::assert_snapshot!(refusal("url = \"redis://:hunter2@db\"\npassword = \"hunter2\""), @r#"
    error: password is given, and the URL names a user or a password too
     --> millstream.toml:3:12
      |
    3 | password = *********
      |            ^^^^^^^^^
      |
      = help: leave it out of the URL: user and password stand better here
    "#);
}

#[test]
fn a_user_without_a_password_is_shown() {
    insta::assert_snapshot!(refusal("url = \"redis://db\"\nusername = \"hr\""), @r#"
    error: username needs a password
     --> millstream.toml:3:12
      |
    3 | username = "hr"
      |            ^^^^
      |
      = help: write password = "${REDIS_PASSWORD}" or password_file = "FILE"
    "#);
    insta::assert_snapshot!(refusal("url = \"redis+sentinel://a/m\"\nsentinel_username = \"s\""), @r#"
    error: sentinel_username needs a password
     --> millstream.toml:3:21
      |
    3 | sentinel_username = "s"
      |                     ^^^
      |
      = help: write sentinel_password = "${SENTINEL_PASSWORD}"
    "#);
}

#[test]
fn a_password_that_is_not_there_is_shown() {
    insta::assert_snapshot!(refusal("url = \"redis://db\"\npassword = \"${MILLSTREAM_TEST_NOWHERE}\""), @r#"
    error: the environment variable MILLSTREAM_TEST_NOWHERE is not set
     --> millstream.toml:3:12
      |
    3 | password = "${MILLSTREAM_TEST_NOWHERE}"
      |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: set it, as in MILLSTREAM_TEST_NOWHERE=…
    "#);
    insta::assert_snapshot!(refusal("url = \"redis://db\"\npassword = \"\""), @r#"
    error: the password is empty
     --> millstream.toml:3:12
      |
    3 | password = **
      |            ^^
    "#);
    insta::assert_snapshot!(refusal("url = \"redis://db\"\npassword_file = \"empty.password\""), @r#"
    error: the password is empty
     --> millstream.toml:3:17
      |
    3 | password_file = "empty.password"
      |                 ^^^^^^^^^^^^^^^^
    "#);
    insta::assert_snapshot!(refusal("url = \"redis://db\"\npassword_file = \"nowhere\""), @r#"
    error: cannot read nowhere: No such file or directory (os error 2)
     --> millstream.toml:3:17
      |
    3 | password_file = "nowhere"
      |                 ^^^^^^^^^
    "#);
}

#[test]
fn a_password_that_is_no_text_is_not_repeated() {
    insta::assert_snapshot!(refusal("url = \"redis://db\"\npassword = 48151623"), @r#"
    error: invalid type: a number, expected a text in quotes
     --> millstream.toml:3:12
      |
    3 | password = ********
      |            ^^^^^^^^
    "#);
    for password in [
        "48151623",
        "4815.1623",
        "true",
        "[\"hunter2\"]",
        "{ a = \"hunter2\" }",
        "1979-05-27",
        "hunter2",
        "\"hunter2",
        "\"hunter2\" 7",
    ] {
        let shown = refusal(&format!("url = \"redis://db\"\npassword = {password}"));
        assert!(shown.contains("millstream.toml:3"), "{shown}");
        for secret in ["4815", "1623", "1979"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

#[test]
fn encryption_that_the_url_does_not_ask_for_is_shown() {
    insta::assert_snapshot!(refusal("url = \"redis://db\"\nca = \"ca.pem\""), @r#"
    error: ca is for encrypted connections
     --> millstream.toml:3:6
      |
    3 | ca = "ca.pem"
      |      ^^^^^^^^
      |
      = help: write rediss instead of redis at the beginning of the URL
    "#);
    insta::assert_snapshot!(refusal("url = \"redis+unix:///run/s\"\nca = \"ca.pem\""), @r#"
    error: ca is for encrypted connections, and a socket is not
     --> millstream.toml:3:6
      |
    3 | ca = "ca.pem"
      |      ^^^^^^^^
      |
      = help: leave it out
    "#);
}

#[test]
fn a_file_that_cannot_be_read_is_shown() {
    insta::assert_snapshot!(refusal("url = \"rediss://db\"\nca = \"nowhere.pem\""), @r#"
    error: cannot read nowhere.pem: No such file or directory (os error 2)
     --> millstream.toml:3:6
      |
    3 | ca = "nowhere.pem"
      |      ^^^^^^^^^^^^^
    "#);
}

#[test]
fn half_a_client_certificate_is_shown() {
    insta::assert_snapshot!(refusal("url = \"rediss://db\"\ncertificate = \"ca.pem\""), @r#"
    error: certificate needs its key
     --> millstream.toml:3:15
      |
    3 | certificate = "ca.pem"
      |               ^^^^^^^^
      |
      = help: write key = "FILE"
    "#);
    insta::assert_snapshot!(refusal("url = \"rediss://db\"\nkey = \"ca.pem\""), @r#"
    error: key needs its certificate
     --> millstream.toml:3:7
      |
    3 | key = "ca.pem"
      |       ^^^^^^^^
      |
      = help: write certificate = "FILE"
    "#);
}

#[test]
fn files_do_not_stand_in_the_url() {
    insta::assert_snapshot!(refusal("url = \"rediss://db?ca=ca.pem\""), @r#"
    error: ca is a file, which would not be looked for beside this one
     --> millstream.toml:2:7
      |
    2 | url = "rediss://db?ca=ca.pem"
      |       ^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: take it out of the URL and write it as a key of [transport]
    "#);
}

#[test]
fn keys_of_sentinels_beside_another_url_are_shown() {
    insta::assert_snapshot!(refusal("url = \"redis://db\"\nsentinel_password = \"hunter2\""), @r#"
    error: sentinel_password is for redis+sentinel://
     --> millstream.toml:3:21
      |
    3 | sentinel_password = *********
      |                     ^^^^^^^^^
      |
      = help: leave it out
    "#);
}
