mod start;
mod view;

use anyhow::{Context as _, Result, bail};

use super::builder::Builder;
use super::flavour::Flavour;
use super::standalone::Server;
use super::wait::Wait;
use crate::proxy::Proxy;

/// The name by which clients ask for the master.
pub const MASTER_NAME: &str = "mymaster";

/// A master, its replicas, and three Sentinels that promote a replica when the master is gone.
///
/// The replicas follow the master through a proxy, [`Self::link`]: only there can acknowledged
/// writes get lost, since on one machine a dying master has already sent everything.
#[derive(Debug)]
pub struct Sentinel {
    /// Dropped first: they would start a fail-over while the nodes end.
    sentinels: Vec<Server>,
    /// The one at the same place is before the node at that place.
    links: Vec<Proxy>,
    nodes: Vec<Server>,
}

impl Sentinel {
    /// Starts them and waits until the replicas follow and the Sentinels know all.
    ///
    /// # Errors
    ///
    /// As [`Builder::start`], or if they do not find together.
    pub async fn start(flavour: Flavour, replicas: usize) -> Result<Self> {
        let master = node(flavour).start().await?;
        let link = Proxy::start(master.address())?;
        let route = link.address();
        let (mut nodes, mut links) = (vec![master], vec![link]);
        for _ in 0..replicas {
            let port = route.port().to_string();
            let replica = node(flavour).setting("replicaof", &[&route.ip().to_string(), &port]);
            let replica = replica.start().await?;
            links.push(Proxy::start(replica.address())?);
            nodes.push(replica);
        }
        let sentinels = start::sentinels(flavour, &nodes).await?;
        let this = Self {
            sentinels,
            links,
            nodes,
        };
        this.settled().await?;
        Ok(this)
    }

    /// `redis+sentinel://host:port,…/mymaster`, all Sentinels in it.
    pub fn url(&self) -> String {
        let addresses = self
            .sentinels
            .iter()
            .map(|sentinel| sentinel.address().to_string());
        let addresses: Vec<_> = addresses.collect();
        format!("redis+sentinel://{}/{MASTER_NAME}", addresses.join(","))
    }

    /// The three Sentinels; each takes commands and can be killed like any server.
    pub fn sentinels(&self) -> &[Server] {
        &self.sentinels
    }

    /// The master of the beginning, then the replicas of the beginning, running or not.
    pub fn nodes(&self) -> &[Server] {
        &self.nodes
    }

    /// The node that the Sentinels call the master.
    ///
    /// # Errors
    ///
    /// If no Sentinel answers.
    pub async fn master(&self) -> Result<&Server> {
        Ok(&self.nodes[self.master_index().await?])
    }

    /// The proxy through which replicas follow the node that is the master now. Entries flow
    /// [`Way::Down`](crate::proxy::Way::Down).
    ///
    /// After a fail-over they follow directly, until [`Self::reroute`].
    ///
    /// # Errors
    ///
    /// As [`Self::master`].
    pub async fn link(&self) -> Result<&Proxy> {
        Ok(&self.links[self.master_index().await?])
    }

    /// Kills the master by SIGKILL, and what is on its way to the replicas with it. Returns the node
    /// that was killed.
    ///
    /// # Errors
    ///
    /// As [`Self::master`].
    pub async fn kill_master(&self) -> Result<&Server> {
        let index = self.master_index().await?;
        self.nodes[index].kill()?;
        self.links[index].cut().await;
        Ok(&self.nodes[index])
    }

    /// Waits until the fail-over is over for all Sentinels that run, and all nodes that run follow
    /// another master than `old`. Returns the new one.
    ///
    /// Clients are told of it a little earlier.
    ///
    /// # Errors
    ///
    /// If it takes too long.
    pub async fn failed_over(&self, old: &Server) -> Result<&Server> {
        let wait = Wait::new("no fail-over");
        loop {
            if let Some(master) = self.agreed().await
                && self.nodes[master].address() != old.address()
            {
                return Ok(&self.nodes[master]);
            }
            wait.again().await?;
        }
    }

    /// Starts a node that was killed, and waits until the Sentinels have made it a replica of the
    /// master. For about a second before, it takes writes as if it were the master.
    ///
    /// # Errors
    ///
    /// If it runs, does not start, or stays alone.
    pub async fn rejoin(&self, node: &Server) -> Result<()> {
        node.start().await?;
        self.settled().await
    }

    /// Lets all replicas that run follow the master through [`Self::link`] again.
    ///
    /// The Sentinels would undo it after two minutes without a fail-over.
    ///
    /// # Errors
    ///
    /// As [`Self::master`], or if they do not follow.
    pub async fn reroute(&self) -> Result<()> {
        let master = self.master_index().await?;
        let route = self.links[master].address();
        let (host, port) = (route.ip().to_string(), route.port().to_string());
        for (index, node) in self.nodes.iter().enumerate() {
            if index != master && node.is_awake() {
                node.command(&["REPLICAOF", &host, &port]).await?;
            }
        }
        for (index, node) in self.nodes.iter().enumerate() {
            if index != master && node.is_awake() {
                follows(node, route.port()).await?;
            }
        }
        self.settled().await
    }

    async fn master_index(&self) -> Result<usize> {
        for sentinel in self.sentinels.iter().filter(|sentinel| sentinel.is_awake()) {
            let ask = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER_NAME];
            if let Ok((_, port)) = sentinel.query::<(String, u16)>(&ask).await {
                let node = self.node_at(port);
                return node.with_context(|| format!("the Sentinels name a stranger: {port}"));
            }
        }
        bail!("no Sentinel names a master")
    }

    fn node_at(&self, port: u16) -> Option<usize> {
        let ports = |node: &Server| node.address().port();
        self.nodes.iter().position(|node| ports(node) == port)
    }

    /// The master, if all Sentinels that run see it, and all other nodes that run follow it.
    async fn agreed(&self) -> Option<usize> {
        let mut agreed = None;
        for sentinel in self.sentinels.iter().filter(|sentinel| sentinel.is_awake()) {
            // They cut connections, those of the kit too, when they turn a node.
            let view = view::view(sentinel).await.ok()??;
            let master = self.node_at(view.master)?;
            let complete = self.nodes.iter().enumerate().all(|(index, node)| {
                let port = node.address().port();
                index == master || !node.is_awake() || view.replicas.contains(&port)
            });
            if !complete || *agreed.get_or_insert(master) != master {
                return None;
            }
        }
        agreed
    }

    async fn settled(&self) -> Result<()> {
        let wait = Wait::new("the Sentinels do not agree on master and replicas");
        while self.agreed().await.is_none() {
            wait.again().await?;
        }
        Ok(())
    }
}

fn node(flavour: Flavour) -> Builder {
    Builder::new(flavour)
        .setting("repl-diskless-sync-delay", &["0"])
        .setting("repl-backlog-size", &["64mb"])
}

/// Waits until it follows the master at that port.
async fn follows(node: &Server, port: u16) -> Result<()> {
    let wait = Wait::new("a replica does not follow its master");
    let expected = [
        format!("master_port:{port}\r\n"),
        "master_link_status:up".to_owned(),
    ];
    loop {
        let about: String = node
            .query(&["INFO", "replication"])
            .await
            .unwrap_or_default();
        if expected.iter().all(|line| about.contains(line)) {
            return Ok(());
        }
        wait.again().await?;
    }
}
