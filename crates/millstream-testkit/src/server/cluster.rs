mod slot_move;
mod start;
mod view;

use anyhow::{Context as _, Result, ensure};

pub use self::slot_move::SlotMove;
use self::view::View;
use super::flavour::Flavour;
use super::standalone::Server;
use super::wait::Wait;

/// A Cluster of three masters, each with a third of the slots, and one replica for each.
///
/// A master that is silent for a second is replaced by its replica.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Server>,
}

impl Cluster {
    /// Starts the six nodes and waits until all of them serve.
    ///
    /// # Errors
    ///
    /// As [`Builder::start`](super::Builder::start), or if they do not find together.
    pub async fn start(flavour: Flavour) -> Result<Self> {
        let this = Self {
            nodes: start::nodes(flavour).await?,
        };
        this.settled().await?;
        Ok(this)
    }

    /// `redis+cluster://host:port,…`, all nodes in it.
    pub fn url(&self) -> String {
        let addresses = self.nodes.iter().map(|node| node.address().to_string());
        let addresses: Vec<_> = addresses.collect();
        format!("redis+cluster://{}", addresses.join(","))
    }

    /// The masters of the beginning, then a replica of each in the same order, running or not.
    pub fn nodes(&self) -> &[Server] {
        &self.nodes
    }

    /// The slot of a key: of its hash tag, if it has one.
    ///
    /// # Errors
    ///
    /// If no node answers.
    pub async fn slot(&self, key: &str) -> Result<u16> {
        Ok(self.any()?.query(&["CLUSTER", "KEYSLOT", key]).await?)
    }

    /// The master that has the slot of a key, as the nodes that run see it.
    ///
    /// # Errors
    ///
    /// If no node answers.
    pub async fn master_of(&self, key: &str) -> Result<&Server> {
        let slot = self.slot(key).await?;
        self.master(slot).await
    }

    /// The masters that do not have the slot of a key.
    ///
    /// # Errors
    ///
    /// If no node answers.
    pub async fn masters_without(&self, key: &str) -> Result<Vec<&Server>> {
        let slot = self.slot(key).await?;
        let view = self.view_of(self.any()?).await?;
        let others = view.masters().filter(|master| !master.has(slot));
        others.map(|master| self.node_at(master.port())).collect()
    }

    /// Kills the master of a key by SIGKILL, and returns it.
    ///
    /// # Errors
    ///
    /// If no node answers.
    pub async fn kill_master_of(&self, key: &str) -> Result<&Server> {
        let master = self.master_of(key).await?;
        master.kill()?;
        Ok(master)
    }

    /// Waits until a replica has taken the place of a master that was killed, for all nodes that
    /// run, and all slots are served. Returns the master that has the slot of the key then.
    ///
    /// # Errors
    ///
    /// If it takes too long.
    pub async fn failed_over(&self, old: &Server, key: &str) -> Result<&Server> {
        let slot = self.slot(key).await?;
        let wait = Wait::new("no replica has been promoted");
        loop {
            if let Some(master) = self.agreed(slot).await
                && master.address() != old.address()
            {
                return Ok(master);
            }
            wait.again().await?;
        }
    }

    /// Starts a node that was killed, and waits until all nodes that run serve and know each other.
    ///
    /// # Errors
    ///
    /// If it runs or does not start.
    pub async fn rejoin(&self, node: &Server) -> Result<()> {
        node.start().await?;
        self.settled().await
    }

    /// Begins to move the slot of a key to another master: from here until it is finished, its old
    /// master answers ASK for keys that it does not have any more, and its new one takes commands
    /// after ASKING.
    ///
    /// # Errors
    ///
    /// If `to` is not another master.
    pub async fn move_slot<'a>(&'a self, key: &str, to: &'a Server) -> Result<SlotMove<'a>> {
        let slot = self.slot(key).await?;
        SlotMove::begin(self, slot, self.master(slot).await?, to).await
    }

    /// Moves the slot of a key, with what is in it, to another master.
    ///
    /// # Errors
    ///
    /// As [`Self::move_slot`].
    pub async fn moved_slot(&self, key: &str, to: &Server) -> Result<()> {
        let moving = self.move_slot(key, to).await?;
        moving.all_keys().await?;
        moving.finish().await
    }

    async fn master(&self, slot: u16) -> Result<&Server> {
        let view = self.view_of(self.any()?).await?;
        let port = view.master_port(slot).context("nobody has the slot")?;
        self.node_at(port)
    }

    fn any(&self) -> Result<&Server> {
        let mut awake = self.nodes.iter().filter(|node| node.is_awake());
        awake.next().context("no node of the Cluster runs")
    }

    fn node_at(&self, port: u16) -> Result<&Server> {
        let node = self.nodes.iter().find(|node| node.address().port() == port);
        node.with_context(|| format!("a stranger is in the Cluster: {port}"))
    }

    async fn view_of(&self, node: &Server) -> Result<View> {
        let text: String = node.query(&["CLUSTER", "NODES"]).await?;
        View::parse(&text)
    }

    /// The master that has the slot, if all nodes that run see the same and serve all slots.
    async fn agreed(&self, slot: u16) -> Option<&Server> {
        let mut agreed = None;
        for node in self.nodes.iter().filter(|node| node.is_awake()) {
            let about: String = node.query(&["CLUSTER", "INFO"]).await.ok()?;
            let port = self.view_of(node).await.ok()?.master_port(slot)?;
            if !about.contains("cluster_state:ok") || *agreed.get_or_insert(port) != port {
                return None;
            }
        }
        self.node_at(agreed?).ok().filter(|node| node.is_awake())
    }

    /// Waits until all nodes that run see each other well, and replicas follow.
    async fn settled(&self) -> Result<()> {
        let wait = Wait::new("the nodes of the Cluster do not find together");
        while !self.is_settled().await.unwrap_or(false) {
            wait.again().await?;
        }
        Ok(())
    }

    async fn is_settled(&self) -> Result<bool> {
        for node in self.nodes.iter().filter(|node| node.is_awake()) {
            let view = self.view_of(node).await?;
            ensure!(self.agreed(0).await.is_some());
            for other in self.nodes.iter().filter(|other| other.is_awake()) {
                ensure!(view.is_well(other.address().port()));
            }
            let replication: String = node.query(&["INFO", "replication"]).await?;
            ensure!(!replication.contains("master_link_status:down"));
        }
        Ok(true)
    }
}
