use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::sync::{mpsc, oneshot};

use super::control::Shared;
use super::counts::Counts;
use super::listener::{Command, listen};
use super::mode::{Mode, Way};
use crate::server::Port;

const COMMANDS_MAX: usize = 8;

/// A proxy before one server. It ends, with all of its connections, when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    port: Port,
    /// `None` while it is dropped: its thread ends then.
    commands: Option<mpsc::Sender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts one that lets everything pass to `target`, which need not be there yet.
    ///
    /// # Errors
    ///
    /// If there is no free port, or no thread.
    pub fn start(target: SocketAddr) -> Result<Self> {
        let port = Port::reserve()?;
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port.number()))?;
        listener.set_nonblocking(true)?;
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let shared = Shared::new(target);
        let (commands, queue) = mpsc::channel(COMMANDS_MAX);
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let listening = listen(listener, shared.clone(), queue);
        let thread = thread::Builder::new()
            .name("proxy".to_owned())
            .spawn(move || runtime.block_on(listening))?;
        Ok(Self {
            shared,
            port,
            commands: Some(commands),
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port.number()).into()
    }

    /// Sets how bytes pass from now on.
    pub fn set(&self, mode: Mode) {
        self.shared
            .control
            .send_modify(|control| control.mode = mode);
    }

    /// Sends new connections to another server; those that are open stay.
    pub fn set_target(&self, target: SocketAddr) {
        self.shared
            .control
            .send_modify(|control| control.target = target);
    }

    /// Resets all connections that are open, on both sides, and returns when it is done. What they
    /// held is lost.
    pub async fn cut(&self) {
        self.run(Command::Cut).await;
    }

    /// Refuses new connections and resets those that are open: the server is away.
    ///
    /// [`Mode::Pass`] brings it back.
    pub async fn go_away(&self) {
        self.set(Mode::Refuse);
        self.cut().await;
    }

    /// Ends one direction of all connections that are open; the other goes on.
    ///
    /// [`Way::Down`] tells the clients that the server has nothing more to say, while it still hears
    /// them.
    pub async fn half_close(&self, way: Way) {
        self.run(|done| Command::HalfClose(way, done)).await;
    }

    /// Drops the next `count` replies to whatever command, each with its connection: each of these
    /// commands has run, and the client does not hear of it.
    ///
    /// Replies before it arrive. Only for the plain Redis protocol, one reply a request.
    pub fn drop_replies(&self, count: u64) {
        self.shared.faults().add_replies(count);
    }

    /// Drops the reply to the next command that contains `pattern`, with the connection: it has run,
    /// and the client does not hear of it.
    ///
    /// As [`Self::drop_replies`]; each call is for one command.
    pub fn drop_reply_to(&self, pattern: impl AsRef<[u8]>) {
        self.shared.faults().add_reply_to(pattern.as_ref());
    }

    /// Drops the next command that contains `pattern`, with the connection: it never runs, those
    /// before it do.
    pub fn drop_request(&self, pattern: impl AsRef<[u8]>) {
        self.shared.faults().add_request(pattern.as_ref());
    }

    /// Takes back what was asked to be dropped and was not yet.
    pub fn drop_nothing(&self) {
        self.shared.faults().clear();
    }

    /// What has happened so far.
    pub fn counts(&self) -> Counts {
        *self.shared.counts.borrow()
    }

    /// Waits until what has happened is what a test waits for.
    ///
    /// # Errors
    ///
    /// If the proxy has ended.
    pub async fn counted(&self, mut enough: impl FnMut(&Counts) -> bool) -> Result<Counts> {
        let mut counts = self.shared.counts.subscribe();
        let counts = counts.wait_for(|counts| enough(counts)).await;
        Ok(*counts.context("the proxy has ended")?)
    }

    async fn run(&self, command: impl FnOnce(oneshot::Sender<()>) -> Command) {
        const LIVES: &str = "the listener outlives whoever gives commands";
        let (done, over) = oneshot::channel();
        let commands = self.commands.as_ref().expect("only a drop takes it");
        commands.send(command(done)).await.expect(LIVES);
        over.await.expect(LIVES);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // It has panicked, and said so on stderr; a second panic would abort the test.
            drop(thread.join());
        }
    }
}
