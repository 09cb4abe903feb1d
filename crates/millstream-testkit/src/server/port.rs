use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::ops::Range;

use anyhow::{Result, bail};

/// Below the ports that the system gives to outgoing connections: a client that knocks at the door
/// of a server that is down must not end up at its own socket.
const PORTS: Range<u16> = 10_000..32_000;

const TRIES_MAX: usize = 1_000;

/// A TCP port of this machine for one server, for as long as the value lives.
///
/// While the server is down, nobody else who takes ports from here gets it.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    /// The UDP port of the same number is the lock, over all processes: TCP does not notice it.
    _lock: UdpSocket,
}

impl Port {
    pub(crate) fn reserve() -> Result<Self> {
        let random = || RandomState::new().build_hasher().finish();
        for _ in 0..TRIES_MAX {
            let offset = random() % u64::from(PORTS.end - PORTS.start);
            let number = PORTS.start + u16::try_from(offset).expect("it is below the width");
            let Ok(lock) = UdpSocket::bind((Ipv4Addr::LOCALHOST, number)) else {
                continue;
            };
            if TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Self {
                    number,
                    _lock: lock,
                });
            }
        }
        bail!("no port is free between {} and {}", PORTS.start, PORTS.end)
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }
}
