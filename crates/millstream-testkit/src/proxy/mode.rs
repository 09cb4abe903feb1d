use std::time::Duration;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
    /// Both.
    Both,
}

impl Way {
    /// Whether it is that one, or both.
    pub(crate) fn includes(self, one: Self) -> bool {
        self == Self::Both || self == one
    }
}

/// How bytes pass, on connections that are open and on new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As if there were no proxy.
    Pass,
    /// New connections are reset at once; those that are open go on. With [`super::Proxy::cut`]
    /// after it, the server is away.
    Refuse,
    /// Connections are accepted, nothing is forwarded, nothing is closed. What was held goes on
    /// when another mode is set.
    BlackHole(Way),
    /// Each byte arrives that much later, either way; their number is not limited.
    Delay(Duration),
    /// So many bytes a second at most on each connection.
    Throttle(Way, u64),
    /// Each byte travels alone, either way.
    OneByte,
}

/// How the next bytes of one direction are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    Free,
    Hold,
    Late(Duration),
    Pieces { size: usize, gap: Duration },
}

/// Between two bytes, so that the receiver has a chance to read them one by one.
const BYTE_GAP: Duration = Duration::from_micros(50);

/// A throttled connection writes that often.
const PIECES_PER_SECOND: u64 = 50;

impl Mode {
    pub(crate) fn pace(self, way: Way) -> Pace {
        match self {
            Self::BlackHole(held) if held.includes(way) => Pace::Hold,
            Self::Delay(delay) => Pace::Late(delay),
            Self::Throttle(slow, bytes_per_second) if slow.includes(way) => {
                let rate = bytes_per_second.max(1);
                let size = (rate / PIECES_PER_SECOND).max(1);
                Pace::Pieces {
                    size: usize::try_from(size).unwrap_or(usize::MAX),
                    gap: Duration::from_secs(1).mul_f64(ratio(size, rate)),
                }
            }
            Self::OneByte => Pace::Pieces {
                size: 1,
                gap: BYTE_GAP,
            },
            Self::Pass | Self::Refuse | Self::BlackHole(_) | Self::Throttle(..) => Pace::Free,
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a rate of bytes need not be exact"
)]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}
