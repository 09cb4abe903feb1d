use std::ops::RangeInclusive;

use anyhow::{Context as _, Result};

/// What one node thinks of all: its `CLUSTER NODES`.
#[derive(Debug)]
pub(super) struct View(Vec<Member>);

/// What it thinks of one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Member {
    port: u16,
    flags: Vec<String>,
    slots: Vec<RangeInclusive<u16>>,
}

impl View {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let members = text.lines().map(|line| {
            Member::parse(line).with_context(|| format!("not a line of CLUSTER NODES: {line}"))
        });
        Ok(Self(members.collect::<Result<_>>()?))
    }

    pub(super) fn masters(&self) -> impl Iterator<Item = &Member> {
        self.0.iter().filter(|member| !member.slots.is_empty())
    }

    /// Where the master listens that has the slot.
    pub(super) fn master_port(&self, slot: u16) -> Option<u16> {
        let mut masters = self.masters();
        masters.find(|master| master.has(slot)).map(Member::port)
    }

    /// Whether the node at that port is known and neither suspected nor a stranger.
    pub(super) fn is_well(&self, port: u16) -> bool {
        let ill = ["fail", "fail?", "handshake", "noaddr"];
        let well = |member: &Member| !member.flags.iter().any(|flag| ill.contains(&flag.as_str()));
        self.0
            .iter()
            .any(|member| member.port == port && well(member))
    }
}

impl Member {
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn has(&self, slot: u16) -> bool {
        self.slots.iter().any(|slots| slots.contains(&slot))
    }

    /// `id ip:port@bus,… flags master ping pong epoch link slot first-last [slot->-id] …`
    fn parse(line: &str) -> Option<Self> {
        let words: Vec<_> = line.split_whitespace().collect();
        let (_, port) = words.get(1)?.split_once('@')?.0.rsplit_once(':')?;
        let flags = words.get(2)?.split(',').map(str::to_owned).collect();
        let slots = words.get(8..)?.iter().filter(|slot| !slot.starts_with('['));
        let slots = slots.map(|slots| {
            let (first, last) = slots.split_once('-').unwrap_or((slots, slots));
            Some(first.parse().ok()?..=last.parse().ok()?)
        });
        Some(Self {
            port: port.parse().ok()?,
            flags,
            slots: slots.collect::<Option<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_read_as_servers_print_them() -> Result<()> {
        let view = View::parse(
            "a 127.0.0.1:1@11 myself,master - 0 7 1 connected 0-99 200 [42->-b]\n\
             b 127.0.0.1:2@12,host master - 0 7 2 connected 100-199 201-16383\n\
             c 127.0.0.1:3@13,,shard-id=x slave,fail? b 0 7 2 connected\n",
        )?;
        for (slot, port) in [(0, 1), (99, 1), (100, 2), (200, 1), (16_383, 2)] {
            assert_eq!(view.master_port(slot), Some(port), "slot {slot}");
        }
        assert_eq!(view.masters().map(Member::port).collect::<Vec<_>>(), [1, 2]);
        assert!(view.is_well(2) && !view.is_well(3) && !view.is_well(4));
        Ok(())
    }
}
