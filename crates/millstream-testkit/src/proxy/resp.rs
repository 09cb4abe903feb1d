/// Finds where messages of the Redis protocol begin and end, in either direction and version.
///
/// What is not that protocol (TLS, a replication link) makes it silent: it finds nothing from there
/// on.
#[derive(Debug)]
pub(crate) struct Scanner {
    state: State,
    /// Values that the message is still to have; 0 between two messages.
    missing: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the byte that tells the type of a value.
    Type,
    /// In a line whose content does not matter.
    Line,
    /// In a line that tells how much follows.
    Header {
        kind: u8,
        value: Option<u64>,
        nil: bool,
    },
    /// In the bytes of a string, its line end included.
    Bytes(u64),
    /// This is not the protocol.
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A message begins at this offset, with this byte.
    Begin(usize, u8),
    /// A message has ended before this offset.
    End(usize),
}

/// Longer strings than the server takes.
const LENGTH_MAX: u64 = 1 << 32;

impl Scanner {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Type,
            missing: 0,
        }
    }

    /// Takes the next bytes and returns what begins and ends in them, with offsets into them.
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> Vec<Found> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < bytes.len() && self.state != State::Lost {
            if let State::Bytes(left) = self.state {
                let here = usize::try_from(left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len() - at);
                at += here;
                let left = left - u64::try_from(here).expect("a length in memory");
                if left == 0 {
                    self.value_ended();
                } else {
                    self.state = State::Bytes(left);
                }
            } else {
                if self.state == State::Type && self.missing == 0 {
                    found.push(Found::Begin(at, bytes[at]));
                    self.missing = 1;
                }
                self.take(bytes[at]);
                at += 1;
            }
            if self.state == State::Type && self.missing == 0 {
                found.push(Found::End(at));
            }
        }
        found
    }

    fn take(&mut self, byte: u8) {
        self.state = match (self.state, byte) {
            (State::Type, b'*' | b'$' | b'%' | b'~' | b'>' | b'|' | b'=' | b'!') => State::Header {
                kind: byte,
                value: None,
                nil: false,
            },
            // A scalar, or a command that a person typed: printable in any case.
            (State::Type, b' '..=b'~') => State::Line,
            (State::Line, b'\n') => return self.value_ended(),
            (State::Line, _) => State::Line,
            (State::Header { kind, nil, .. }, b'-') if !nil => State::Header {
                kind,
                value: None,
                nil: true,
            },
            (State::Header { kind, value, nil }, b'0'..=b'9') => State::Header {
                kind,
                value: Some(value.unwrap_or(0) * 10 + u64::from(byte - b'0')),
                nil,
            },
            (header @ State::Header { .. }, b'\r') => header,
            (
                State::Header {
                    kind,
                    value: Some(value),
                    nil,
                },
                b'\n',
            ) if value <= LENGTH_MAX => {
                return self.header_ended(kind, if nil { None } else { Some(value) });
            }
            _ => State::Lost,
        };
        if let State::Header {
            value: Some(value), ..
        } = self.state
            && value > LENGTH_MAX
        {
            self.state = State::Lost;
        }
    }

    fn header_ended(&mut self, kind: u8, count: Option<u64>) {
        match (kind, count) {
            (_, None) => self.value_ended(),
            (b'$' | b'=' | b'!', Some(length)) => self.state = State::Bytes(length + 2),
            // Attributes stand before the value that they describe.
            (b'|', Some(pairs)) => self.values_follow(2 * pairs + 1),
            (b'%', Some(pairs)) => self.values_follow(2 * pairs),
            (_, Some(values)) => self.values_follow(values),
        }
    }

    fn values_follow(&mut self, count: u64) {
        self.missing += count;
        self.value_ended();
    }

    fn value_ended(&mut self) {
        self.missing -= 1;
        self.state = State::Type;
    }
}

#[cfg(test)]
mod tests {
    use super::{Found, Scanner};

    /// The messages of `bytes`, fed in pieces of that size.
    fn messages(bytes: &str, piece: usize) -> Vec<String> {
        let mut scanner = Scanner::new();
        let (mut begins, mut messages) = (Vec::new(), Vec::new());
        for (index, bytes_here) in bytes.as_bytes().chunks(piece).enumerate() {
            for found in scanner.scan(bytes_here) {
                match found {
                    Found::Begin(at, _) => begins.push(index * piece + at),
                    Found::End(at) => {
                        let begin = *begins.last().expect("it has begun");
                        messages.push(bytes[begin..index * piece + at].to_owned());
                    }
                }
            }
        }
        messages
    }

    #[test]
    fn messages_are_told_apart_however_they_are_cut() {
        let expected = [
            "*2\r\n$3\r\nGET\r\n$5\r\na\r\nbc\r\n",
            "PING\r\n",
            "+OK\r\n",
            "-ERR no\r\n",
            "$-1\r\n",
            "*-1\r\n",
            "*0\r\n",
            "$0\r\n\r\n",
            "*2\r\n*1\r\n:1\r\n*2\r\n$1\r\n*\r\n_\r\n",
            "%1\r\n+a\r\n*1\r\n#t\r\n",
            ">2\r\n+invalidate\r\n*1\r\n+a\r\n",
            "|1\r\n+ttl\r\n:3\r\n+value\r\n",
            "=7\r\ntxt:abc\r\n",
            ",1.5\r\n",
            "(1234567890123456789012\r\n",
        ];
        let bytes = expected.concat();
        for piece in 1..=bytes.len() {
            assert_eq!(messages(&bytes, piece), expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn another_protocol_is_passed_over() {
        for bytes in [
            "\u{16}\u{3}\u{1}\u{2}\n+OK\r\n",
            "*x\r\n+OK\r\n",
            "*99999999999999999999\r\n+OK\r\n",
            "$--1\r\n",
            "*\r\n+OK\r\n",
        ] {
            assert_eq!(
                messages(bytes, bytes.len()),
                Vec::<String>::new(),
                "{bytes:?}"
            );
        }
    }
}
