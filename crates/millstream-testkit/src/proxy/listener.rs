use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::connection::serve;
use super::control::Shared;
use super::mode::Way;

/// As many clients may have come that nobody has accepted yet.
const BACKLOG_MAX: usize = 4096;

/// What is done to all clients that have come so far; each says when it is done.
#[derive(Debug)]
pub(crate) enum Command {
    Cut(oneshot::Sender<()>),
    HalfClose(Way, oneshot::Sender<()>),
}

/// Accepts clients until nobody can give commands any more.
pub(crate) async fn listen(
    listener: TcpListener,
    shared: Arc<Shared>,
    mut commands: mpsc::Receiver<Command>,
) {
    let mut clients = Clients {
        listener,
        shared,
        connections: JoinSet::new(),
    };
    loop {
        tokio::select! {
            accepted = clients.listener.accept() => clients.take(accepted),
            command = commands.recv() => match command {
                None => return,
                Some(command) => clients.run(command).await,
            },
            Some(_) = clients.connections.join_next() => {}
        }
    }
}

struct Clients {
    listener: TcpListener,
    shared: Arc<Shared>,
    connections: JoinSet<()>,
}

impl Clients {
    fn take(&mut self, accepted: io::Result<(TcpStream, SocketAddr)>) {
        // Otherwise the client has gone already.
        if let Ok((client, _)) = accepted {
            let control = *self.shared.control.borrow();
            let serving = serve(client, self.shared.clone(), control);
            self.connections.spawn(serving);
        }
    }

    async fn run(&mut self, command: Command) {
        self.take_backlog().await;
        let control = &self.shared.control;
        let done = match command {
            Command::Cut(done) => {
                control.send_modify(|control| control.cuts += 1);
                while self.connections.join_next().await.is_some() {}
                done
            }
            Command::HalfClose(way, done) => {
                control.send_modify(|control| {
                    control.closes_up += u64::from(way.includes(Way::Up));
                    control.closes_down += u64::from(way.includes(Way::Down));
                });
                done
            }
        };
        // Whoever asked need not wait for it.
        done.send(()).ok();
    }

    /// For a client, a connection is open before it is accepted here.
    async fn take_backlog(&mut self) {
        for _ in 0..BACKLOG_MAX {
            // Lets the runtime hear of who has come.
            tokio::task::yield_now().await;
            tokio::select! {
                biased;
                accepted = self.listener.accept() => self.take(accepted),
                () = std::future::ready(()) => return,
            }
        }
    }
}
