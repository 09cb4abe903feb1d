//! A process that dies between two statements.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

const QUERY: u8 = 0x03;
const EXECUTE: u8 = 0x17;
const EXECUTE_BULK: u8 = 0xfa;

/// Passes on what a process says to its server, up to a number of statements. Then all its connections
/// end, and it gets no others, as the server sees it of a process that was killed.
pub(super) struct Life {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: tokio::task::JoinHandle<()>,
}

struct Shared {
    left: AtomicI64,
    /// Whether it is an answer that gets lost, that to a commit, and nothing dies.
    loses_commits: bool,
    dead: AtomicBool,
    died: Notify,
}

impl Life {
    pub(super) async fn new(statements: u64, server: SocketAddr) -> Self {
        Self::begin(i64::try_from(statements).unwrap(), false, server).await
    }

    /// One that commits, and never hears of it.
    pub(super) async fn without_answers(server: SocketAddr) -> Self {
        Self::begin(i64::MAX, true, server).await
    }

    async fn begin(left: i64, loses_commits: bool, server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            left: AtomicI64::new(left),
            loses_commits,
            dead: AtomicBool::new(false),
            died: Notify::new(),
        });
        let of_all = Arc::clone(&shared);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let shared = Arc::clone(&of_all);
                tokio::spawn(async move { shared.connection(client, server).await });
            }
        });
        Self {
            shared,
            address,
            accepting,
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it died before this.
    pub(super) fn end(&self) -> bool {
        self.accepting.abort();
        self.shared.dead.load(Ordering::SeqCst)
    }
}

impl Shared {
    async fn connection(&self, client: TcpStream, server: SocketAddr) {
        let died = self.died.notified();
        tokio::pin!(died);
        died.as_mut().enable();
        if self.dead.load(Ordering::SeqCst) {
            return;
        }
        let Ok(server) = TcpStream::connect(server).await else {
            return;
        };
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        tokio::select! {
            () = died => {}
            _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
            _ = self.pass_on(&mut from_client, &mut to_server) => {}
        }
    }

    async fn pass_on(
        &self,
        from: &mut OwnedReadHalf,
        to: &mut OwnedWriteHalf,
    ) -> std::io::Result<()> {
        let mut packet = Vec::new();
        loop {
            let mut head = [0; 4];
            from.read_exact(&mut head).await?;
            let length =
                usize::from(head[0]) | usize::from(head[1]) << 8 | usize::from(head[2]) << 16;
            packet.clear();
            packet.extend(head);
            packet.resize(4 + length, 0);
            from.read_exact(&mut packet[4..]).await?;
            if is_statement(&packet) && self.left.fetch_sub(1, Ordering::SeqCst) <= 0 {
                self.dead.store(true, Ordering::SeqCst);
                self.died.notify_waiters();
                return Ok(());
            }
            to.write_all(&packet).await?;
            if self.loses_commits && is_commit(&packet) {
                return Ok(());
            }
        }
    }
}

/// Whether it ends a transaction, also one that a handler worked in.
fn is_commit(packet: &[u8]) -> bool {
    let [_, _, _, 0, QUERY, text @ ..] = packet else {
        return false;
    };
    text == b"COMMIT" || (text.starts_with(b"XA COMMIT ") && text.ends_with(b" ONE PHASE"))
}

/// Whether it does something, once the connection is open.
fn is_statement(packet: &[u8]) -> bool {
    let [_, _, _, 0, command, text @ ..] = packet else {
        return false;
    };
    let prepares_session = text.starts_with(b"SET ") || text.starts_with(b"SELECT @@");
    match *command {
        QUERY => !prepares_session,
        EXECUTE | EXECUTE_BULK => true,
        _ => false,
    }
}
