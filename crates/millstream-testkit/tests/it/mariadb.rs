//! A database server as a child.

use anyhow::Result;
use millstream_testkit::server::MariaDb;
use tokio::net::TcpStream;

#[tokio::test]
async fn it_comes_back_after_a_kill_and_ends_with_its_value() -> Result<()> {
    let server = MariaDb::builder().durable().start().await?;
    server.kill()?;
    assert!(TcpStream::connect(server.address()).await.is_err());
    server.start().await?;
    let address = server.address();
    assert!(TcpStream::connect(address).await.is_ok());
    drop(server);
    assert!(TcpStream::connect(address).await.is_err());
    Ok(())
}
