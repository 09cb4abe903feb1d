//! A process that dies between two statements: its connections are cut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The way of a process to its server, through which so many statements pass.
pub(super) struct Life {
    address: SocketAddr,
    left: Arc<Left>,
    listening: JoinHandle<()>,
}

struct Left {
    statements: AtomicU64,
    /// Whether the next commit gets through, and its answer does not.
    loses_commit: AtomicBool,
    end: watch::Sender<bool>,
}

impl Life {
    pub(super) async fn begin(server: SocketAddr, statements: u64) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let left = Arc::new(Left {
            statements: AtomicU64::new(statements),
            loses_commit: AtomicBool::new(false),
            end: watch::Sender::new(false),
        });
        let passing = left.clone();
        let listening = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                if !*passing.end.borrow() {
                    tokio::spawn(serve(client, server, passing.clone()));
                }
            }
        });
        Self {
            address,
            left,
            listening,
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn has_ended(&self) -> bool {
        *self.left.end.borrow()
    }

    /// Cuts the connection that commits next, once its commit is on the way.
    pub(super) fn lose_commit(&self) {
        self.left.loses_commit.store(true, Ordering::SeqCst);
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn serve(client: TcpStream, server: SocketAddr, left: Arc<Left>) {
    let server = TcpStream::connect(server).await.unwrap();
    // A message of the client comes as several writes: the last one must not wait for an answer.
    server.set_nodelay(true).unwrap();
    client.set_nodelay(true).unwrap();
    let (mut from_server, to_server) = server.into_split();
    let (from_client, mut to_client) = client.into_split();
    let mut ended = left.end.subscribe();
    tokio::select! {
        _ = ask(from_client, to_server, &left) => {}
        _ = copy(&mut from_server, &mut to_client) => {}
        _ = ended.wait_for(|ended| *ended) => {}
    }
}

/// Passes messages on until the one that would be a statement too many.
async fn ask(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, left: &Left) -> std::io::Result<()> {
    // The first message has no type.
    let mut kind = None;
    loop {
        let length = from.read_u32().await?;
        // A query, or the execution of a prepared statement.
        if matches!(kind, Some(b'Q' | b'E')) {
            let counted =
                left.statements
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                        left.checked_sub(1)
                    });
            if counted.is_err() {
                left.end.send_replace(true);
                return Ok(());
            }
        }
        let mut message = Vec::from_iter(kind);
        message.extend(length.to_be_bytes());
        let head = message.len();
        message.resize(head + length as usize - 4, 0);
        from.read_exact(&mut message[head..]).await?;
        to.write_all(&message).await?;
        if message[head..] == *b"COMMIT\0" && left.loses_commit.swap(false, Ordering::SeqCst) {
            return Ok(());
        }
        kind = Some(from.read_u8().await?);
    }
}
