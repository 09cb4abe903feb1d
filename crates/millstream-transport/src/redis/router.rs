//! Brings each command to the server that has its key.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Pipeline, Value};
use tokio::time::Instant;

use super::address::Address;
use super::cluster::Cluster;
use super::connection::{ANSWER_MAX, Settings};
use super::error::{Class, Fault};
use super::node::Node;
use super::nodes::Nodes;
use super::options::{Options, Servers};
use super::sentinel::Sentinels;
use super::tls;

/// Redirects that one command follows.
const REDIRECTS_MAX: usize = 5;

pub(super) struct Router {
    topology: Topology,
    nodes: Nodes,
}

enum Topology {
    Single(Address),
    Sentinel(Box<Sentinels>),
    Cluster(Cluster),
}

/// A connection for one command, as long as that takes.
#[derive(Debug, Clone, Copy)]
enum Lane {
    Shared,
    Reader { wait: Duration },
}

impl Router {
    pub(super) fn new(options: &Options) -> Result<Self, Fault> {
        let tls = options.tls.as_ref().map(tls::connector).transpose()?;
        let settings = |master_only| Settings::new(options, tls.clone(), master_only);
        let (topology, nodes) = match &options.servers {
            Servers::Single(address) => (Topology::Single(address.clone()), settings(false)),
            Servers::Sentinel { sentinels, master } => {
                let theirs = Settings::sentinel(options, tls.clone());
                let sentinels = Sentinels::new(sentinels.clone(), master.clone(), theirs);
                (Topology::Sentinel(Box::new(sentinels)), settings(true))
            }
            Servers::Cluster(seeds) => (
                Topology::Cluster(Cluster::new(seeds.clone())),
                settings(false),
            ),
        };
        Ok(Self {
            topology,
            nodes: Nodes::new(nodes),
        })
    }

    /// Runs a command that is answered at once.
    pub(super) async fn run(&self, key: &[u8], command: &Cmd) -> Result<Value, Fault> {
        self.send(key, Lane::Shared, |_| Cow::Borrowed(command))
            .await
    }

    /// Runs commands for one key in one go. No redirect is followed.
    pub(super) async fn pipeline(&self, key: &[u8], commands: &Pipeline) -> Result<(), Fault> {
        let node = self.nodes.at(&self.resolve(key).await?);
        node.shared().await?.run_all(commands).await
    }

    /// Runs a command that brings much or waits at the server for up to `wait`, on a connection of its
    /// own. `command` makes it, and is told whether it may wait: not if all connections are taken.
    pub(super) async fn read(
        &self,
        key: &[u8],
        wait: Duration,
        command: impl Fn(bool) -> Cmd,
    ) -> Result<Value, Fault> {
        self.send(key, Lane::Reader { wait }, |waits| {
            Cow::Owned(command(waits))
        })
        .await
    }

    async fn send<'c>(
        &self,
        key: &[u8],
        lane: Lane,
        command: impl Fn(bool) -> Cow<'c, Cmd>,
    ) -> Result<Value, Fault> {
        let mut asking = None;
        let mut followed = 0;
        loop {
            let (node, ask) = match asking.take() {
                Some(address) => (self.nodes.at(&address), true),
                None => (self.nodes.at(&self.resolve(key).await?), false),
            };
            let fault = match Self::send_to(&node, lane, ask, &command).await {
                Ok(value) => return Ok(value),
                Err(fault) => fault,
            };
            match self.learn(key, &node, &fault).await {
                Next::Again if followed < REDIRECTS_MAX => {}
                Next::AskOnce(address) if followed < REDIRECTS_MAX => asking = Some(address),
                _ => return Err(self.placed(fault, &node)),
            }
            followed += 1;
        }
    }

    async fn send_to<'c>(
        node: &Arc<Node>,
        lane: Lane,
        ask: bool,
        command: &impl Fn(bool) -> Cow<'c, Cmd>,
    ) -> Result<Value, Fault> {
        if let Lane::Reader { wait } = lane
            && let Some(reader) = node.reader(Instant::now() + wait).await?
        {
            return reader.run(&command(true), wait, ask).await;
        }
        let connection = node.shared().await?;
        let command = command(false);
        let answer = if ask {
            connection.run_asking(&command, ANSWER_MAX).await
        } else {
            connection.run(&command).await
        };
        if let Err(fault) = &answer
            && fault.breaks_connection()
        {
            node.abandon(&connection, fault).await;
        }
        answer
    }

    async fn resolve(&self, key: &[u8]) -> Result<Address, Fault> {
        match &self.topology {
            Topology::Single(address) => Ok(address.clone()),
            Topology::Sentinel(sentinels) => sentinels.resolve().await,
            Topology::Cluster(cluster) => cluster.resolve(key, &self.nodes).await,
        }
    }

    /// Learns from a fault who has the key, and says whether the command is to be sent again.
    async fn learn(&self, key: &[u8], node: &Node, fault: &Fault) -> Next {
        let class = fault.class();
        let in_doubt = class.is_none() || class == Some(Class::Elsewhere);
        match (&self.topology, fault) {
            (Topology::Sentinel(sentinels), _) if in_doubt => {
                sentinels.forget(&node.address).await;
                // Its gate is kept: sentinels may name it again before they notice that it is down.
                self.nodes.keep(|address| *address == node.address);
                Next::GiveUp
            }
            (Topology::Cluster(cluster), _) if in_doubt => {
                cluster.doubt(&node.address);
                Next::GiveUp
            }
            (Topology::Cluster(cluster), Fault::Refused(refusal)) => {
                let target = || target(refusal.redirect()?, node);
                match (class, target()) {
                    (Some(Class::Moved), Some(address)) => {
                        cluster.moved(key, &address);
                        Next::Again
                    }
                    (Some(Class::Ask), Some(address)) => Next::AskOnce(address),
                    _ => Next::GiveUp,
                }
            }
            _ => Next::GiveUp,
        }
    }

    /// Says where it happened, unless there is only one place.
    fn placed(&self, fault: Fault, node: &Node) -> Fault {
        match (&self.topology, fault) {
            // A node of a Cluster, named as if it were alone: redirects are no outage that passes.
            (Topology::Single(_), Fault::Refused(refusal))
                if matches!(refusal.class(), Class::Moved | Class::Ask) =>
            {
                Fault::misconfigured(refusal.to_string())
            }
            (Topology::Single(_), fault) => fault,
            (_, fault) => fault.at(&node.address),
        }
    }
}

/// What to do after a fault.
enum Next {
    GiveUp,
    Again,
    AskOnce(Address),
}

/// The node that a redirect means. One without a host is the same host.
fn target(text: &str, node: &Node) -> Option<Address> {
    match (text.strip_prefix(':'), &node.address) {
        (Some(port), Address::Tcp { host, .. }) => Some(Address::tcp(host, port.parse().ok()?)),
        _ => Address::parse_redirect(text),
    }
}
