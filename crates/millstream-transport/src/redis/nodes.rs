use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::address::Address;
use super::connection::Settings;
use super::node::Node;

/// The servers that were spoken to.
pub(super) struct Nodes {
    settings: Arc<Settings>,
    known: Mutex<HashMap<Address, Arc<Node>>>,
}

impl Nodes {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings: Arc::new(settings),
            known: Mutex::default(),
        }
    }

    /// The server at an address; it is not connected to here.
    pub(super) fn at(&self, address: &Address) -> Arc<Node> {
        let mut known = self.known();
        let node = known
            .entry(address.clone())
            .or_insert_with(|| Arc::new(Node::new(address.clone(), Arc::clone(&self.settings))));
        Arc::clone(node)
    }

    /// Forgets servers that are of no use any more, which closes their connections.
    pub(super) fn keep(&self, wanted: impl Fn(&Address) -> bool) {
        self.known().retain(|address, _| wanted(address));
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Address, Arc<Node>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
