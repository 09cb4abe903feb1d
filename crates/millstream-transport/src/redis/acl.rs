//! What a user of the server may be allowed, and what is enough for each part that it plays.

use std::fmt;

use millstream_core::name::{AppName, StreamName};

use super::key::PUBLISHERS;

/// The part that a user of the server plays for an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Adds to shared streams, by us or by any client.
    Publisher,
    /// Sends what the application publishes: appends to its shards, repairs and trims them, and reads
    /// what followers tell it.
    Relay,
    /// Reads the shards of all applications and the shared streams, publishes positions, and leaves
    /// acknowledgments.
    Consumer,
    /// Trims the application's shards, and shared streams.
    Trimmer,
    /// Looks at everything and changes nothing.
    Observer,
}

/// What every connection says, on each kind of server.
const CONNECTION: &str = "+auth +hello +ping +select +client|setname +role +cluster|slots +asking \
                          +command|info";

/// Scripts can do no more than their user may do otherwise.
const SCRIPTS: &str = "+evalsha +eval +exists";

const INFO: &str = "+xinfo|stream +xinfo|groups +xinfo|consumers";

impl Role {
    /// All there are.
    pub const ALL: [Self; 5] = [
        Self::Publisher,
        Self::Relay,
        Self::Consumer,
        Self::Trimmer,
        Self::Observer,
    ];

    /// The rules of a user that plays this part for an application and these streams, for
    /// `ACL SETUSER name`.
    ///
    /// They take away everything that the user was allowed before, except to log in; a password, as
    /// in `on >password`, is to be added.
    pub fn rules(self, application: &AppName, streams: &[StreamName]) -> Vec<String> {
        let mut rules = words("resetkeys resetchannels nocommands clearselectors");
        rules.extend(words(CONNECTION));
        rules.extend(self.selectors(application, streams));
        rules
    }

    /// Each allows some commands on some keys.
    fn selectors(self, application: &AppName, streams: &[StreamName]) -> Vec<String> {
        let any = |prefix| keys(prefix, streams, |stream| format!("{stream}:{{*}}"));
        let own = |prefix| {
            keys(prefix, streams, |stream| {
                format!("{stream}:{{{application}:*}}")
            })
        };
        let shared = |prefix| keys(prefix, streams, StreamName::to_string);
        let select = |rules: String| format!("({rules})");
        match self {
            Self::Publisher => vec![select(format!("{} +xadd", shared("~")))],
            Self::Relay => vec![
                select(format!(
                    "{} {SCRIPTS} {INFO} +xadd +xtrim +xsetid +unlink +xread +xgroup|destroy",
                    own("~")
                )),
                select(format!(
                    "%R~acknowledgments:{{{application}}} +xread +xinfo|stream"
                )),
                select(format!("~{PUBLISHERS} +evalsha +eval +hset +hgetall")),
            ],
            Self::Consumer => vec![
                select(format!(
                    "{} {SCRIPTS} {INFO} +xread +xgroup|create +xgroup|setid \
                     +xgroup|createconsumer +xgroup|destroy",
                    any("~")
                )),
                select(format!(
                    "{} +evalsha +eval {INFO} +xread +xrange +xreadgroup +xack +xautoclaim \
                     +xpending +xgroup|create +xgroup|setid +xgroup|createconsumer \
                     +xgroup|delconsumer",
                    shared("~")
                )),
                select("~acknowledgments:{*} +evalsha +eval +xadd".into()),
                select(format!("%R~{PUBLISHERS} +hgetall")),
            ],
            Self::Trimmer => vec![
                select(format!("{} +xtrim +xinfo|stream", own("~"))),
                select(format!("{} {INFO} +xtrim +xread +xpending", shared("~"))),
                select(format!("%R~{PUBLISHERS} +hgetall")),
            ],
            Self::Observer => vec![select(format!(
                "{} {} %R~acknowledgments:{{*}} %R~{PUBLISHERS} {INFO} +xread +xpending +hgetall",
                any("%R~"),
                shared("%R~")
            ))],
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Publisher => "publisher",
            Self::Relay => "relay",
            Self::Consumer => "consumer",
            Self::Trimmer => "trimmer",
            Self::Observer => "observer",
        })
    }
}

/// A pattern of keys for each stream. Nothing that a name may contain means anything in them.
fn keys(prefix: &str, streams: &[StreamName], key: impl Fn(&StreamName) -> String) -> String {
    let patterns = streams
        .iter()
        .map(|stream| format!("{prefix}{}", key(stream)));
    patterns.collect::<Vec<_>>().join(" ")
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_cannot_write_to_shards() {
        let streams = ["a", "b"].map(|name| StreamName::new(name).unwrap());
        let rules = Role::Consumer.rules(&AppName::new("hr").unwrap(), &streams);
        let shards = rules
            .iter()
            .find(|rule| rule.starts_with("(~a:{*} ~b:{*} "));
        let shards = shards.expect("both streams in one selector");
        assert!(
            !shards.contains("xadd") && !shards.contains("unlink"),
            "{shards}"
        );
        assert!(
            rules
                .iter()
                .all(|rule| !rule.contains("+@") && !rule.contains("allkeys"))
        );
    }
}
