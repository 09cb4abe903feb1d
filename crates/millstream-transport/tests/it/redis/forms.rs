//! Each way to a server, and those that must lead nowhere.

use std::time::Duration;

use millstream_core::entry::EntryId;
use millstream_core::error::{Error, ErrorKind};
use millstream_core::log::{Appended, Log};
use millstream_testkit::server::{Certificates, Flavour, Server};
use millstream_testkit::{entries, shard};
use millstream_transport::redis::{Options, Protocol, Transport};

use super::ALL;

const PROTOCOLS: [Protocol; 2] = [Protocol::Resp2, Protocol::Resp3];

/// Appends, and reads it again.
async fn check(options: Options, protocol: Protocol) {
    let transport = Transport::connect(options.protocol(protocol)).await;
    let transport = transport.unwrap();
    let (shard, batch) = (shard(protocol as u16), entries(1..=3));
    let appended = transport.append(&shard, EntryId::ZERO, &batch).await;
    assert_eq!(appended.unwrap(), Appended::Added);
    let read = transport
        .read(&shard, EntryId::ZERO, ALL, Duration::ZERO)
        .await;
    assert_eq!(read.unwrap(), batch);
}

async fn refused(options: Options, cause: &str) {
    let error: Error = Transport::connect(options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error}");
    assert!(error.to_string().contains(cause), "{error}");
}

fn options(url: &str) -> Options {
    Options::parse(url).unwrap()
}

#[tokio::test]
async fn by_a_unix_socket() {
    for flavour in Flavour::SUPPORTED {
        let server = Server::builder(flavour).in_memory().start().await.unwrap();
        let url = format!("redis+unix://{}", server.socket().display());
        for protocol in PROTOCOLS {
            check(options(&url), protocol).await;
        }
    }
}

#[tokio::test]
async fn encrypted_with_an_authority_of_ones_own() {
    let certificates = Certificates::generate().await.unwrap();
    let builder = Server::builder(Flavour::Redis).in_memory();
    let server = builder.tls(certificates.server()).start().await.unwrap();
    let url = server.tls_url().unwrap();
    for protocol in PROTOCOLS {
        check(
            options(&url).authorities(certificates.authority()),
            protocol,
        )
        .await;
    }
    let stranger = options(&url).authorities(certificates.stranger());
    refused(stranger, "unknown authority (name its file as `ca`)").await;
    // Those of the system do not vouch for it either.
    refused(options(&url), "authority").await;
    let plain = format!("redis://{}", server.tls_address().unwrap());
    assert!(Transport::connect(options(&plain)).await.is_err());
}

#[tokio::test]
async fn encrypted_and_with_a_certificate_of_the_client() {
    let certificates = Certificates::generate().await.unwrap();
    let builder = Server::builder(Flavour::Redis).in_memory();
    let server = builder.mutual_tls(certificates.server()).start().await;
    let server = server.unwrap();
    let url = server.tls_url().unwrap();
    let anonymous = || options(&url).authorities(certificates.authority());
    let (known, foreign) = (certificates.client(), certificates.foreign_client());
    for protocol in PROTOCOLS {
        let named = anonymous().certificate(known.certificate(), known.key());
        check(named, protocol).await;
    }
    refused(anonymous(), "certificate").await;
    let named = anonymous().certificate(foreign.certificate(), foreign.key());
    refused(named, "certificate").await;
}

#[tokio::test]
async fn not_to_a_server_of_another_name() {
    let certificates = Certificates::generate().await.unwrap();
    let builder = Server::builder(Flavour::Redis).in_memory();
    let server = builder.tls(certificates.misnamed_server()).start().await;
    let server = server.unwrap();
    let url = server.tls_url().unwrap();
    let trusting = options(&url).authorities(certificates.authority());
    refused(trusting, "the server's certificate is for another name").await;
}

#[tokio::test]
async fn not_to_redis_6() {
    let builder = Server::builder(Flavour::Redis6).in_memory();
    let server = builder.start().await.unwrap();
    for protocol in PROTOCOLS {
        let cause = "the server is too old: it lacks script flags (use Redis 7.0 or later";
        refused(options(&server.url()).protocol(protocol), cause).await;
    }
}
