use anyhow::Result;

use super::Cluster;
use crate::server::standalone::Server;
use crate::server::wait::Wait;

/// Keys that one command moves.
const KEYS_MAX: usize = 100;

const MIGRATE_MILLIS: &str = "5000";

/// A slot on its way from one master to another, step by step.
///
/// It stays where it is until the next step is taken: a test can look at every state between.
#[derive(Debug)]
pub struct SlotMove<'a> {
    cluster: &'a Cluster,
    slot: u16,
    from: &'a Server,
    to: &'a Server,
}

impl<'a> SlotMove<'a> {
    pub(super) async fn begin(
        cluster: &'a Cluster,
        slot: u16,
        from: &'a Server,
        to: &'a Server,
    ) -> Result<Self> {
        set(to, slot, "IMPORTING", &id(from).await?).await?;
        set(from, slot, "MIGRATING", &id(to).await?).await?;
        Ok(Self {
            cluster,
            slot,
            from,
            to,
        })
    }

    /// Moves one key, with its groups and what is pending in them.
    ///
    /// # Errors
    ///
    /// If one of the two masters does not answer.
    pub async fn key(&self, key: &str) -> Result<()> {
        self.migrate(&[key.to_owned()]).await
    }

    /// Moves all keys that are still in the slot.
    ///
    /// # Errors
    ///
    /// If one of the two masters does not answer.
    pub async fn all_keys(&self) -> Result<()> {
        loop {
            let count = KEYS_MAX.to_string();
            let slot = self.slot.to_string();
            let ask = ["CLUSTER", "GETKEYSINSLOT", &slot, &count];
            let keys: Vec<String> = self.from.query(&ask).await?;
            if keys.is_empty() {
                return Ok(());
            }
            self.migrate(&keys).await?;
        }
    }

    /// Gives the slot to its new master, tells all masters that run, and waits until all nodes that
    /// run know it.
    ///
    /// # Errors
    ///
    /// If keys are left at the old master, or one of the two does not answer.
    pub async fn finish(self) -> Result<()> {
        let id = id(self.to).await?;
        set(self.to, self.slot, "NODE", &id).await?;
        set(self.from, self.slot, "NODE", &id).await?;
        for node in self.cluster.nodes.iter().filter(|node| node.is_awake()) {
            // Replicas learn it from the others, and refuse to be told.
            let replication: String = node.query(&["INFO", "replication"]).await?;
            if replication.contains("role:master") {
                set(node, self.slot, "NODE", &id).await?;
            }
        }
        let wait = Wait::new("a node does not learn who has the slot");
        while self.cluster.agreed(self.slot).await.is_none() {
            wait.again().await?;
        }
        Ok(())
    }

    async fn migrate(&self, keys: &[String]) -> Result<()> {
        let address = self.to.address();
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        let mut words = vec!["MIGRATE", &host, &port, "", "0", MIGRATE_MILLIS, "KEYS"];
        words.extend(keys.iter().map(String::as_str));
        self.from.command(&words).await?;
        Ok(())
    }
}

async fn set(node: &Server, slot: u16, what: &str, id: &str) -> Result<()> {
    let slot = slot.to_string();
    let words = ["CLUSTER", "SETSLOT", &slot, what, id];
    node.command(&words).await?;
    Ok(())
}

async fn id(node: &Server) -> Result<String> {
    Ok(node.query(&["CLUSTER", "MYID"]).await?)
}
