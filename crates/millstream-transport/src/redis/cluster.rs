//! Which node of a Cluster has which slot.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::Value;
use tokio::time::Instant;

use super::address::Address;
use super::error::Fault;
use super::nodes::Nodes;
use super::reply;

const SLOTS: u16 = 16_384;

/// How long a map is taken for new: redirects of many keys at once lead to one look.
const FRESH: Duration = Duration::from_millis(100);

/// Nodes that are asked before giving up.
const ASKED_MAX: usize = 8;

pub(super) struct Cluster {
    seeds: Vec<Address>,
    map: Mutex<Map>,
    /// When the map was last read. Held while it is.
    read: tokio::sync::Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Map {
    nodes: Vec<Address>,
    /// For each slot its place in `nodes`; nothing at all before the first look.
    slots: Vec<Option<u16>>,
}

impl Cluster {
    pub(super) fn new(seeds: Vec<Address>) -> Self {
        Self {
            seeds,
            map: Mutex::default(),
            read: tokio::sync::Mutex::default(),
        }
    }

    /// The node that has the key.
    pub(super) async fn resolve(&self, key: &[u8], nodes: &Nodes) -> Result<Address, Fault> {
        let slot = slot(key);
        if let Some(address) = self.map().node(slot) {
            return Ok(address);
        }
        self.refresh(nodes).await?;
        self.map()
            .node(slot)
            .ok_or_else(|| Fault::away(format!("no node of the Cluster answers for slot {slot}")))
    }

    /// Takes over what a node said about the key's slot.
    pub(super) fn moved(&self, key: &[u8], to: &Address) {
        self.map().set(slot(key), to);
    }

    /// Asks who has the slots of this node before the next command for one of them.
    pub(super) fn doubt(&self, node: &Address) {
        self.map().demote(node);
    }

    /// Reads the map again, unless somebody just did.
    pub(super) async fn refresh(&self, nodes: &Nodes) -> Result<(), Fault> {
        let mut read = self.read.lock().await;
        if read.is_some_and(|at| at.elapsed() < FRESH) {
            return Ok(());
        }
        let mut candidates = self.map().nodes.clone();
        candidates.extend(self.seeds.iter().cloned());
        let mut last = Fault::away("no node of the Cluster is known");
        for address in candidates.iter().take(ASKED_MAX) {
            match Self::look(address, nodes).await {
                Ok(map) => {
                    nodes.keep(|known| map.nodes.contains(known) || self.seeds.contains(known));
                    *self.map() = map;
                    *read = Some(Instant::now());
                    return Ok(());
                }
                Err(fault) => {
                    last = fault.at(address);
                    // Whoever does not answer is asked last the next time.
                    self.map().demote(address);
                }
            }
        }
        Err(last)
    }

    async fn look(address: &Address, nodes: &Nodes) -> Result<Map, Fault> {
        let node = nodes.at(address);
        let connection = node.shared().await?;
        match connection.run(redis::cmd("CLUSTER").arg("SLOTS")).await {
            Ok(slots) => Map::read(slots, address),
            Err(fault) => {
                if fault.breaks_connection() {
                    node.abandon(&connection, &fault).await;
                }
                Err(fault)
            }
        }
    }

    fn map(&self) -> MutexGuard<'_, Map> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Map {
    fn read(slots: Value, asked: &Address) -> Result<Self, Fault> {
        let mut map = Self {
            nodes: Vec::new(),
            slots: vec![None; SLOTS.into()],
        };
        for range in reply::array(slots)? {
            let mut parts = reply::array(range)?.into_iter();
            let (Some(first), Some(last), Some(master)) =
                (parts.next(), parts.next(), parts.next())
            else {
                return Err(Fault::shape("a range of slots without a master"));
            };
            let (first, last) = (reply::number(first)?, reply::number(last)?);
            let Some(master) = address(master, asked)? else {
                continue;
            };
            for slot in first..=last.min((SLOTS - 1).into()) {
                map.set(u16::try_from(slot).expect("below 16,384"), &master);
            }
        }
        Ok(map)
    }

    fn node(&self, slot: u16) -> Option<Address> {
        let node = (*self.slots.get(usize::from(slot))?)?;
        self.nodes.get(usize::from(node)).cloned()
    }

    fn set(&mut self, slot: u16, address: &Address) {
        if self.slots.is_empty() {
            self.slots = vec![None; SLOTS.into()];
        }
        let known = self.nodes.iter().position(|node| node == address);
        let node = known.unwrap_or_else(|| {
            self.nodes.push(address.clone());
            self.nodes.len() - 1
        });
        self.slots[usize::from(slot)] = u16::try_from(node).ok();
    }

    /// Moves a node behind the others, and forgets which slots it has.
    fn demote(&mut self, address: &Address) {
        let Some(place) = self.nodes.iter().position(|node| node == address) else {
            return;
        };
        let last = self.nodes.len() - 1;
        self.nodes.swap(place, last);
        for slot in self.slots.iter_mut() {
            *slot = match slot.map(usize::from) {
                Some(node) if node == place => None,
                Some(node) if node == last => u16::try_from(place).ok(),
                _ => *slot,
            };
        }
    }
}

/// The address in a node's entry; none where the Cluster does not know it.
fn address(node: Value, asked: &Address) -> Result<Option<Address>, Fault> {
    let mut parts = reply::array(node)?.into_iter();
    let (Some(host), Some(port)) = (parts.next(), parts.next()) else {
        return Err(Fault::shape("a node without an address"));
    };
    let host = match host {
        Value::Nil => String::new(),
        host => reply::text(host)?,
    };
    let port = u16::try_from(reply::number(port)?).map_err(|_| Fault::shape("no port"))?;
    Ok(match (&*host, asked) {
        ("?", _) => None,
        // A node that does not know its own address means the one that it was reached at.
        ("", Address::Tcp { host, .. }) => Some(Address::tcp(host, port)),
        ("", Address::Unix(_)) => None,
        (host, _) => Some(Address::tcp(host, port)),
    })
}

/// The slot of a key: of what stands between its first braces, or of the whole.
pub(super) fn slot(key: &[u8]) -> u16 {
    const CRC: crc::Crc<u16> = crc::Crc::<u16>::new(&crc::CRC_16_XMODEM);
    let tag = key.iter().position(|&byte| byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        let close = rest.iter().position(|&byte| byte == b'}')?;
        (close > 0).then(|| &rest[..close])
    });
    CRC.checksum(tag.unwrap_or(key)) % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn range(first: i64, last: i64, host: Value, port: i64) -> Value {
        let node = Value::Array(vec![
            host,
            Value::Int(port),
            bulk("id"),
            Value::Array(vec![]),
        ]);
        let replica = Value::Array(vec![bulk("replica"), Value::Int(9), bulk("id")]);
        Value::Array(vec![Value::Int(first), Value::Int(last), node, replica])
    }

    /// The slots that `CLUSTER KEYSLOT` names.
    #[test]
    fn slots_are_those_of_the_server() {
        for (key, expected) in [
            ("123456789", 12_739),
            ("foo", 12_182),
            ("{foo}.bar", 12_182),
            ("x{foo}{bar}", 12_182),
            ("{}foo", 9_500),
            ("foo{", 7_673),
        ] {
            assert_eq!(slot(key.as_bytes()), expected, "{key}");
        }
    }

    #[test]
    fn a_map_is_read() {
        let asked = Address::tcp("asked", 1);
        let slots = Value::Array(vec![
            range(0, 99, bulk("a"), 7000),
            range(100, 199, Value::Nil, 7001),
            range(200, 299, bulk("?"), 7002),
            range(300, 300, bulk("a"), 7000),
        ]);
        let mut map = Map::read(slots, &asked).unwrap();
        let a = Some(Address::tcp("a", 7000));
        let b = Some(Address::tcp("asked", 7001));
        for (slot, expected) in [
            (0, &a),
            (99, &a),
            (100, &b),
            (200, &None),
            (300, &a),
            (301, &None),
        ] {
            assert_eq!(map.node(slot), *expected, "{slot}");
        }
        assert_eq!(map.nodes.len(), 2);

        map.set(200, &Address::tcp("c", 7002));
        map.demote(&Address::tcp("a", 7000));
        assert_eq!(map.node(0), None);
        assert_eq!(map.node(100), b);
        assert_eq!(map.node(200), Some(Address::tcp("c", 7002)));
        assert_eq!(map.nodes.last(), a.as_ref());
    }
}
