use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use millstream_testkit::server::{Certificates, Flavour, Identity, Server};
use redis::{Client, ClientTlsConfig, TlsCertificates};

/// Has a client that trusts this authority, and shows this certificate, say PING.
async fn ping(server: &Server, authority: &Path, shown: Option<Identity>) -> Result<()> {
    // Another test in this process may have been first.
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    let client_tls = shown.map(|identity| {
        anyhow::Ok(ClientTlsConfig {
            client_cert: fs::read(identity.certificate())?,
            client_key: fs::read(identity.key())?,
        })
    });
    let certificates = TlsCertificates {
        client_tls: client_tls.transpose()?,
        root_cert: Some(fs::read(authority)?),
    };
    let url = server.tls_url().context("it was built with TLS")?;
    let client = Client::build_with_tls(url, certificates)?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let () = redis::cmd("PING").query_async(&mut connection).await?;
    Ok(())
}

#[tokio::test]
async fn only_the_right_authority_and_name_are_accepted() -> Result<()> {
    let certificates = Certificates::generate().await?;
    let start = |identity| {
        Server::builder(Flavour::Redis)
            .password("secret")
            .tls(identity)
            .start()
    };
    let server = start(certificates.server()).await?;
    ping(&server, &certificates.authority(), None).await?;
    ping(
        &server,
        &certificates.authority(),
        Some(certificates.client()),
    )
    .await?;
    let stranger = ping(&server, &certificates.stranger(), None).await;
    let stranger = format!("{:#}", stranger.expect_err("it has not signed the server"));
    ensure!(stranger.contains("UnknownIssuer"), "{stranger}");

    let misnamed = start(certificates.misnamed_server()).await?;
    let name = ping(&misnamed, &certificates.authority(), None).await;
    let name = format!("{:#}", name.expect_err("it is another machine"));
    ensure!(name.contains("not valid for name"), "{name}");
    Ok(())
}

#[tokio::test]
async fn clients_have_to_show_who_they_are() -> Result<()> {
    let certificates = Certificates::generate().await?;
    let builder = Server::builder(Flavour::Redis).mutual_tls(certificates.server());
    let server = builder.start().await?;
    let authority = certificates.authority();
    ping(&server, &authority, Some(certificates.client())).await?;
    ensure!(ping(&server, &authority, None).await.is_err());
    ensure!(
        ping(&server, &authority, Some(certificates.foreign_client()))
            .await
            .is_err()
    );
    server.restart().await?;
    ping(&server, &authority, Some(certificates.client())).await?;
    Ok(())
}
