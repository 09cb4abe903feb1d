use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use millstream_testkit::server::{Flavour, Server};

const FLAVOURS: [Flavour; 3] = [Flavour::Redis, Flavour::Valkey, Flavour::Redis6];

#[tokio::test]
async fn each_flavour_is_what_it_says() -> Result<()> {
    for (flavour, expected) in [
        (Flavour::Redis, "redis_version:7."),
        (Flavour::Valkey, "valkey_version:9."),
        (Flavour::Redis6, "redis_version:6.2."),
    ] {
        let server = Server::start_default(flavour).await?;
        let about: String = server.query(&["INFO", "server"]).await?;
        ensure!(about.contains(expected), "{flavour} says {about}");
    }
    Ok(())
}

#[tokio::test]
async fn its_url_leads_to_it() -> Result<()> {
    for flavour in FLAVOURS {
        let server = Server::builder(flavour).password("secret").start().await?;
        let client = redis::Client::open(server.url())?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        let () = redis::cmd("SET")
            .arg(&["key", "1"])
            .query_async(&mut connection)
            .await?;
        ensure!(server.query::<u64>(&["GET", "key"]).await? == 1);

        let stranger = redis::Client::open(format!("redis://{}", server.address()))?;
        let mut connection = stranger.get_multiplexed_async_connection().await?;
        let refused = redis::cmd("GET")
            .arg("key")
            .query_async::<u64>(&mut connection)
            .await;
        let code = refused
            .expect_err("no password was given")
            .code()
            .map(str::to_owned);
        ensure!(code.as_deref() == Some("NOAUTH"), "{code:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_was_written_outlives_a_kill() -> Result<()> {
    for flavour in Flavour::SUPPORTED {
        let server = Server::start_default(flavour).await?;
        let address = server.address();
        server.command(&["SET", "key", "1"]).await?;
        server.kill()?;
        ensure!(!server.is_running());
        ensure!(server.command(&["PING"]).await.is_err());
        server.start().await?;
        ensure!(server.address() == address);
        ensure!(server.query::<u64>(&["GET", "key"]).await? == 1);

        ensure!(server.terminate().await?.success());
        server.restart().await?;
        ensure!(server.query::<u64>(&["GET", "key"]).await? == 1);
    }
    Ok(())
}

#[tokio::test]
async fn in_memory_forgets() -> Result<()> {
    let server = Server::builder(Flavour::Redis).in_memory().start().await?;
    server.command(&["SET", "key", "1"]).await?;
    server.restart().await?;
    ensure!(
        server
            .query::<Option<u64>>(&["GET", "key"])
            .await?
            .is_none()
    );
    Ok(())
}

#[tokio::test]
async fn a_stopped_server_says_nothing_until_it_goes_on() -> Result<()> {
    let server = Server::start_default(Flavour::Redis).await?;
    let mut connection = server.connect().await?;
    server.stop().await?;
    let command = redis::cmd("PING");
    let mut answer = Box::pin(command.query_async::<String>(&mut connection));
    let silence = Duration::from_millis(100);
    ensure!(tokio::time::timeout(silence, &mut answer).await.is_err());
    server.cont()?;
    ensure!(answer.await? == "PONG");
    Ok(())
}

#[tokio::test]
async fn a_cut_file_loses_a_suffix_only() -> Result<()> {
    const ENTRIES: u64 = 500;
    for flavour in Flavour::SUPPORTED {
        let server = Server::start_default(flavour).await?;
        let mut connection = server.connect().await?;
        for number in 1..=ENTRIES {
            let mut add = redis::cmd("XADD");
            add.arg("stream")
                .arg(format!("1-{number}"))
                .arg("n")
                .arg(number);
            let () = add.query_async(&mut connection).await?;
        }
        ensure!(server.cut_aof(1).is_err(), "it runs");
        server.kill()?;
        let length = server.aof_length()?;
        ensure!(server.cut_aof(length / 3)? == length / 3);
        server.start().await?;

        let left: Vec<(String, Vec<String>)> =
            server.query(&["XRANGE", "stream", "-", "+"]).await?;
        ensure!(
            left.len() > 1 && left.len() < 500,
            "{} are left",
            left.len()
        );
        for (number, (id, _)) in (1..).zip(&left) {
            ensure!(*id == format!("1-{number}"), "{id} is at place {number}");
        }
        server.kill()?;
        let length = server.aof_length()?;
        ensure!(server.cut_aof(u64::MAX)? == length);
        server.start().await?;
        ensure!(server.query::<u64>(&["XLEN", "stream"]).await? == 0);
    }
    Ok(())
}

#[tokio::test]
async fn users_have_the_rights_that_they_were_given() -> Result<()> {
    let server = Server::builder(Flavour::Redis)
        .user("reader", &["on", ">secret", "~*", "+@read"])
        .start()
        .await?;
    let client = redis::Client::open(format!("redis://reader:secret@{}", server.address()))?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let () = redis::cmd("GET")
        .arg("key")
        .query_async(&mut connection)
        .await?;
    let refused = redis::cmd("DEL")
        .arg("key")
        .query_async::<()>(&mut connection)
        .await;
    let code = refused
        .expect_err("it may only read")
        .code()
        .map(str::to_owned);
    ensure!(code.as_deref() == Some("NOPERM"), "{code:?}");
    Ok(())
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() -> Result<()> {
    let started = Server::builder(Flavour::Redis)
        .setting("no-such-setting", &["1"])
        .start()
        .await;
    let message = format!("{:#}", started.expect_err("the setting is unknown"));
    ensure!(message.contains("no-such-setting"), "{message}");
    Ok(())
}

#[tokio::test]
async fn many_start_at_once() -> Result<()> {
    let mut starts = tokio::task::JoinSet::new();
    for _ in 0..20 {
        starts.spawn(Server::start_default(Flavour::Redis));
    }
    let mut servers = Vec::new();
    for server in starts.join_all().await {
        servers.push(server?);
    }
    let mut ports: Vec<_> = servers.iter().map(Server::address).collect();
    ports.sort();
    ports.dedup();
    ensure!(ports.len() == 20);
    Ok(())
}

#[tokio::test]
async fn valkeys_clock_steps() -> Result<()> {
    const HOUR: i64 = 3_600;
    let server = Server::builder(Flavour::Valkey)
        .clock_offset(0)
        .start()
        .await?;
    let (begin, _): (i64, i64) = server.query(&["TIME"]).await?;
    for offset in [HOUR, -HOUR, 0] {
        server.set_clock_offset(offset).await?;
        let (now, _): (i64, i64) = server.query(&["TIME"]).await?;
        let right = begin + offset;
        ensure!((right..right + 60).contains(&now), "{now} for {right}");
        let id: String = server
            .query(&["XADD", &offset.to_string(), "*", "a", "b"])
            .await?;
        let id: i64 = id
            .split_once('-')
            .map_or("", |(millis, _)| millis)
            .parse()?;
        ensure!(
            (right..right + 60).contains(&(id / 1000)),
            "{id} for {right}"
        );
    }
    // A blocked read waits by a clock that does not step.
    let mut connection = server.connect().await?;
    let read = tokio::spawn(async move {
        let mut read = redis::cmd("XREAD");
        read.arg(&["BLOCK", "15000", "STREAMS", "stream", "$"]);
        read.query_async::<redis::Value>(&mut connection).await
    });
    let waits = async || {
        let about: String = server.query(&["INFO", "clients"]).await?;
        anyhow::Ok(about.contains("blocked_clients:1"))
    };
    while !waits().await? {
        tokio::task::yield_now().await;
    }
    server.set_clock_offset(-HOUR).await?;
    server.command(&["XADD", "stream", "*", "a", "b"]).await?;
    ensure!(read.await?? != redis::Value::Nil);

    let refused = Server::builder(Flavour::Redis)
        .clock_offset(0)
        .start()
        .await;
    ensure!(refused.is_err(), "it would never answer");
    let ordinary = Server::start_default(Flavour::Valkey).await?;
    ensure!(ordinary.set_clock_offset(1).await.is_err());
    Ok(())
}

mod crash {
    use std::io::{BufRead as _, BufReader, ErrorKind};
    use std::process::{Command, Stdio};

    use tokio::net::TcpStream;

    use super::*;

    const DEATH_MAX: Duration = Duration::from_secs(10);

    const CHILD: &str = "MILLSTREAM_TEST_CHILD";

    /// It plays both parts: in the process that is killed it never returns.
    #[tokio::test]
    async fn it_dies_with_its_process() -> Result<()> {
        if std::env::var_os(CHILD).is_some() {
            let server = Server::start_default(Flavour::Redis).await?;
            // Only SIGKILL ends it now.
            server.stop().await?;
            println!("\naddress {}", server.address());
            std::future::pending::<()>().await;
        }
        let mut child = Command::new(std::env::current_exe()?)
            .args([
                "--exact",
                "server::crash::it_dies_with_its_process",
                "--nocapture",
            ])
            .env(CHILD, "1")
            .stdout(Stdio::piped())
            .spawn()?;
        let said = BufReader::new(child.stdout.take().context("stdout is piped")?).lines();
        let mut addresses = said.map_while(Result::ok).filter_map(|line| {
            let address = line.strip_prefix("address ")?;
            address.parse::<std::net::SocketAddr>().ok()
        });
        let address = addresses.next();
        ensure!(
            address.is_some() || child.wait()?.success(),
            "it did not start"
        );
        let address = address.context("it says where its server is")?;
        TcpStream::connect(address).await?;
        child.kill()?;
        child.wait()?;
        // One that was only stopped would not refuse: the system takes connections for it. One that
        // dies with a connection not yet taken resets it.
        let refused = async {
            loop {
                match TcpStream::connect(address).await {
                    Ok(_) => tokio::task::yield_now().await,
                    Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
                    Err(error) => return error.kind(),
                }
            }
        };
        let kind = tokio::time::timeout(DEATH_MAX, refused).await?;
        ensure!(kind == ErrorKind::ConnectionRefused, "{kind}");
        Ok(())
    }
}
