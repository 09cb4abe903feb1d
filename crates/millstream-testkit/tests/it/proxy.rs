use std::io::Read as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use millstream_testkit::proxy::{Mode, Proxy, Way};
use millstream_testkit::server::{Flavour, Server};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisResult};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Long enough for anything that is to happen, on a busy machine too.
const SOON: Duration = Duration::from_secs(10);

/// Long enough to see that nothing happens.
const SILENCE: Duration = Duration::from_millis(100);

/// A server, a proxy before it, and a client of the proxy.
struct Site {
    server: Server,
    proxy: Proxy,
    client: MultiplexedConnection,
}

impl Site {
    async fn start() -> Result<Self> {
        let server = Server::start_default(Flavour::Redis).await?;
        let proxy = Proxy::start(server.address())?;
        let client = connect(&server, &proxy).await?;
        Ok(Self {
            server,
            proxy,
            client,
        })
    }

    async fn increment(&mut self) -> RedisResult<u64> {
        redis::cmd("INCR")
            .arg("n")
            .query_async(&mut self.client)
            .await
    }

    /// How often it was incremented, asked of the server past the proxy.
    async fn increments(&self) -> Result<u64> {
        Ok(self
            .server
            .query::<Option<u64>>(&["GET", "n"])
            .await?
            .unwrap_or(0))
    }

    async fn reconnect(&mut self) -> Result<()> {
        self.client = connect(&self.server, &self.proxy).await?;
        Ok(())
    }
}

async fn connect(server: &Server, proxy: &Proxy) -> Result<MultiplexedConnection> {
    let client = redis::Client::open(server.url_at(proxy.address()))?;
    let config = AsyncConnectionConfig::new()
        .set_response_timeout(Some(SOON))
        .set_connection_timeout(Some(SOON));
    Ok(client
        .get_multiplexed_async_connection_with_config(&config)
        .await?)
}

/// Both ends of a connection through the proxy, without a server of Redis.
async fn ends(proxy: &Proxy, listener: &TcpListener) -> Result<(TcpStream, TcpStream)> {
    let client = TcpStream::connect(proxy.address()).await?;
    let (server, _) = listener.accept().await?;
    Ok((client, server))
}

async fn listen() -> Result<(TcpListener, Proxy)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let proxy = Proxy::start(listener.local_addr()?)?;
    Ok((listener, proxy))
}

#[tokio::test]
async fn lets_everything_pass_and_counts_it() -> Result<()> {
    let mut site = Site::start().await?;
    let before = site.proxy.counts();
    let value = "x".repeat(300_000);
    let () = redis::cmd("SET")
        .arg("key")
        .arg(&value)
        .query_async(&mut site.client)
        .await?;
    let read: String = redis::cmd("GET")
        .arg("key")
        .query_async(&mut site.client)
        .await?;
    ensure!(read == value);
    let counts = site.proxy.counts();
    ensure!(counts.bytes_up - before.bytes_up > 300_000, "{counts:?}");
    ensure!(
        counts.bytes_down - before.bytes_down > 300_000,
        "{counts:?}"
    );
    ensure!(
        (counts.connections, counts.open, counts.refused) == (1, 1, 0),
        "{counts:?}"
    );

    drop(site.client);
    site.proxy.counted(|counts| counts.open == 0).await?;
    Ok(())
}

#[tokio::test]
async fn refuses_new_clients_and_keeps_old_ones() -> Result<()> {
    let mut site = Site::start().await?;
    site.proxy.set(Mode::Refuse);
    ensure!(connect(&site.server, &site.proxy).await.is_err());
    ensure!(site.increment().await? == 1);

    site.proxy.go_away().await;
    ensure!(site.increment().await.is_err());
    ensure!(connect(&site.server, &site.proxy).await.is_err());

    site.proxy.set(Mode::Pass);
    site.reconnect().await?;
    ensure!(site.increment().await? == 2);
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_away_is_refused() -> Result<()> {
    let mut site = Site::start().await?;
    site.server.kill()?;
    ensure!(site.increment().await.is_err());
    ensure!(connect(&site.server, &site.proxy).await.is_err());
    site.server.start().await?;
    site.reconnect().await?;
    ensure!(site.increment().await? == 1);

    let other = Server::start_default(Flavour::Valkey).await?;
    site.proxy.set_target(other.address());
    ensure!(
        site.increment().await? == 2,
        "the connection that is open stays"
    );
    site.reconnect().await?;
    ensure!(site.increment().await? == 1);
    Ok(())
}

#[tokio::test]
async fn cuts_both_sides_by_a_reset() -> Result<()> {
    let (listener, proxy) = listen().await?;
    let (mut client, mut server) = ends(&proxy, &listener).await?;
    proxy.cut().await;
    for end in [&mut client, &mut server] {
        let read = timeout(SOON, end.read_u8()).await?;
        let kind = read.expect_err("nothing was sent").kind();
        ensure!(kind == std::io::ErrorKind::ConnectionReset, "{kind}");
    }
    ensure!(proxy.counts().open == 0);
    ends(&proxy, &listener).await?;
    Ok(())
}

/// For a client, a connection is open before the proxy has accepted it.
#[tokio::test]
async fn cuts_whoever_came_before() -> Result<()> {
    let (_listener, proxy) = listen().await?;
    for _ in 0..20 {
        let clients = (0..20).map(|_| std::net::TcpStream::connect(proxy.address()));
        let clients: Vec<_> = clients.collect::<Result<_, _>>()?;
        proxy.cut().await;
        for mut client in clients {
            client.set_read_timeout(Some(SILENCE))?;
            let kind = client.read(&mut [0]).expect_err("nothing was sent").kind();
            ensure!(kind == std::io::ErrorKind::ConnectionReset, "{kind}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_black_hole_holds_what_it_gets() -> Result<()> {
    for (way, arrives) in [(Way::Up, false), (Way::Down, true), (Way::Both, false)] {
        let mut site = Site::start().await?;
        site.proxy.set(Mode::BlackHole(way));
        let mut answer = Box::pin(site.increment());
        ensure!(
            timeout(SILENCE, &mut answer).await.is_err(),
            "{way:?} lets a reply pass"
        );
        drop(answer);
        ensure!(site.increments().await? == u64::from(arrives), "{way:?}");

        // It accepts, too, and says nothing.
        let mut stranger = TcpStream::connect(site.proxy.address()).await?;
        stranger.write_all(b"PING\r\n").await?;
        ensure!(timeout(SILENCE, stranger.read_u8()).await.is_err());

        site.proxy.set(Mode::Pass);
        ensure!(timeout(SOON, stranger.read_u8()).await?? == b'+');
        ensure!(site.increment().await? == 2, "what was held went on");
    }
    Ok(())
}

#[tokio::test]
async fn delays_each_way() -> Result<()> {
    const DELAY: Duration = Duration::from_millis(60);
    let mut site = Site::start().await?;
    site.proxy.set(Mode::Delay(DELAY));
    let begin = Instant::now();
    site.increment().await?;
    ensure!(begin.elapsed() >= 2 * DELAY, "{:?}", begin.elapsed());

    // A hundred at once are as late as one.
    let begin = Instant::now();
    let mut pipeline = redis::pipe();
    for _ in 0..100 {
        pipeline.cmd("INCR").arg("n").ignore();
    }
    let () = pipeline.query_async(&mut site.client).await?;
    ensure!(begin.elapsed() < 20 * DELAY, "{:?}", begin.elapsed());

    site.proxy.set(Mode::Delay(SOON));
    let mut answer = Box::pin(site.increment());
    ensure!(timeout(SILENCE, &mut answer).await.is_err());
    drop(answer);
    site.proxy.set(Mode::Pass);
    ensure!(timeout(SOON / 2, site.increment()).await?? == 103);
    Ok(())
}

#[tokio::test]
async fn throttles_one_way() -> Result<()> {
    const BYTES: usize = 20_000;
    let (listener, proxy) = listen().await?;
    let (mut client, mut server) = ends(&proxy, &listener).await?;
    proxy.set(Mode::Throttle(Way::Up, 100_000));
    let mut read = vec![0; BYTES];

    let begin = Instant::now();
    server.write_all(&[1; BYTES]).await?;
    client.read_exact(&mut read).await?;
    let down = begin.elapsed();
    let begin = Instant::now();
    client.write_all(&[1; BYTES]).await?;
    server.read_exact(&mut read).await?;
    let up = begin.elapsed();
    ensure!(down < Duration::from_millis(150), "{down:?}");
    ensure!(up >= Duration::from_millis(170), "{up:?}");
    Ok(())
}

#[tokio::test]
async fn one_byte_travels_alone() -> Result<()> {
    const BYTES: usize = 200;
    let (listener, proxy) = listen().await?;
    let (mut client, mut server) = ends(&proxy, &listener).await?;
    proxy.set(Mode::OneByte);
    client.write_all(&[1; BYTES]).await?;
    let (mut bytes, mut pieces) = (0, 0);
    while bytes < BYTES {
        bytes += server.read(&mut [0; BYTES]).await?;
        pieces += 1;
    }
    ensure!(pieces > BYTES / 10, "{BYTES} bytes came in {pieces} pieces");

    let mut site = Site::start().await?;
    site.proxy.set(Mode::OneByte);
    ensure!(site.increment().await? == 1);
    site.reconnect().await?;
    ensure!(site.increment().await? == 2);
    Ok(())
}

#[tokio::test]
async fn half_of_a_connection_is_closed() -> Result<()> {
    let (listener, proxy) = listen().await?;
    let (mut client, mut server) = ends(&proxy, &listener).await?;
    proxy.half_close(Way::Down).await;
    ensure!(
        timeout(SOON, client.read(&mut [0])).await?? == 0,
        "the client sees an end"
    );
    client.write_all(b"a").await?;
    ensure!(server.read_u8().await? == b'a', "and is still heard");
    // The server notices nothing.
    server.write_all(&[0; 100_000]).await?;

    let (mut client, mut server) = ends(&proxy, &listener).await?;
    proxy.half_close(Way::Up).await;
    ensure!(
        timeout(SOON, server.read(&mut [0])).await?? == 0,
        "the server sees an end"
    );
    server.write_all(b"a").await?;
    ensure!(client.read_u8().await? == b'a');
    Ok(())
}

#[tokio::test]
async fn the_reply_is_lost_and_the_command_ran() -> Result<()> {
    let mut site = Site::start().await?;
    site.proxy.drop_replies(1);
    ensure!(site.increment().await.is_err());
    ensure!(site.increments().await? == 1);
    ensure!(site.proxy.counts().replies_dropped == 1);
    site.reconnect().await?;
    ensure!(
        site.increment().await? == 2,
        "one was asked for, and one was lost"
    );
    Ok(())
}

#[tokio::test]
async fn only_the_reply_to_that_command_is_lost() -> Result<()> {
    let mut site = Site::start().await?;
    site.proxy.drop_reply_to("EVAL");
    for expected in 1..=3 {
        ensure!(site.increment().await? == expected);
    }
    // In one pipeline: what stands before is answered, what stands after may run.
    let mut stream = TcpStream::connect(site.proxy.address()).await?;
    let script = "return redis.call('incr', 'n')";
    let eval = format!(
        "*3\r\n$4\r\nEVAL\r\n${}\r\n{script}\r\n$1\r\n0\r\n",
        script.len()
    );
    stream
        .write_all(format!("INCR n\r\nPING\r\n{eval}PING\r\n").as_bytes())
        .await?;
    let mut said = Vec::new();
    timeout(SOON, stream.read_to_end(&mut said)).await?.ok();
    ensure!(
        said == b":4\r\n+PONG\r\n",
        "{:?}",
        String::from_utf8_lossy(&said)
    );
    ensure!(site.increments().await? == 5);
    ensure!(site.increment().await? == 6, "other connections go on");
    Ok(())
}

#[tokio::test]
async fn a_blocked_read_loses_its_reply() -> Result<()> {
    let mut site = Site::start().await?;
    site.proxy.drop_reply_to("BLPOP");
    let mut client = site.client.clone();
    let blocked = tokio::spawn(async move {
        let mut pop = redis::cmd("BLPOP");
        pop.arg("list")
            .arg(0)
            .query_async::<Vec<String>>(&mut client)
            .await
    });
    // Through the proxy on another connection, so that the other is not blocked by it.
    site.reconnect().await?;
    let one_waits = || async {
        let about: String = site.server.query(&["INFO", "clients"]).await?;
        anyhow::Ok(about.contains("blocked_clients:1"))
    };
    while !one_waits().await? {
        tokio::task::yield_now().await;
    }
    ensure!(site.increment().await? == 1);
    ensure!(
        site.proxy.counts().replies_dropped == 0,
        "nothing was said to it yet"
    );
    let () = redis::cmd("RPUSH")
        .arg("list")
        .arg("a")
        .query_async(&mut site.client)
        .await?;
    ensure!(blocked.await?.is_err());
    ensure!(
        site.server.query::<u64>(&["LLEN", "list"]).await? == 0,
        "it was taken"
    );
    Ok(())
}

#[tokio::test]
async fn a_dropped_request_never_runs() -> Result<()> {
    let mut site = Site::start().await?;
    site.proxy.drop_request("INCR");
    ensure!(site.increment().await.is_err());
    ensure!(site.proxy.counts().requests_dropped == 1);
    site.reconnect().await?;
    ensure!(site.increment().await? == 1);

    // A request of which most has gone on before its end shows what it is.
    let long = "x".repeat(1_000_000);
    site.proxy.drop_request("$3\r\nSET");
    let set = redis::cmd("SET")
        .arg("n")
        .arg(&long)
        .query_async::<()>(&mut site.client)
        .await;
    ensure!(set.is_err());
    ensure!(site.increments().await? == 1);

    site.proxy.drop_request("INCR");
    site.proxy.drop_nothing();
    site.reconnect().await?;
    ensure!(site.increment().await? == 2);
    Ok(())
}

#[tokio::test]
async fn a_paused_clock_changes_nothing() -> Result<()> {
    let (listener, proxy) = listen().await?;
    let (mut client, mut server) = ends(&proxy, &listener).await?;
    proxy.set(Mode::Delay(SILENCE));
    tokio::time::pause();
    let begin = Instant::now();
    server.write_all(b"a").await?;
    let read = client.read_u8().await.context("it arrives")?;
    ensure!(
        read == b'a' && begin.elapsed() >= SILENCE,
        "{:?}",
        begin.elapsed()
    );
    Ok(())
}
