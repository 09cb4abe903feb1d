//! Scripts, by their hash where the server remembers them.

use std::sync::OnceLock;

use redis::{Cmd, Value};

use super::error::{Class, Fault};
use super::router::Router;

/// A script for one key.
pub(super) struct Script {
    source: &'static str,
    hash: OnceLock<String>,
}

impl Script {
    pub(super) const fn new(source: &'static str) -> Self {
        Self {
            source,
            hash: OnceLock::new(),
        }
    }

    /// Runs it. `arguments` adds what follows the key; it is called again where the server does not
    /// remember the script, after a restart or on another node.
    pub(super) async fn run(
        &self,
        router: &Router,
        key: &str,
        arguments: impl Fn(&mut Cmd),
    ) -> Result<Value, Fault> {
        let hash = self
            .hash
            .get_or_init(|| redis::Script::new(self.source).get_hash().to_owned());
        let command = |verb: &str, script: &str| {
            let mut command = redis::cmd(verb);
            command.arg(script).arg(1).arg(key);
            arguments(&mut command);
            command
        };
        match router.run(key.as_bytes(), &command("EVALSHA", hash)).await {
            Err(fault) if fault.class() == Some(Class::NoScript) => {
                router
                    .run(key.as_bytes(), &command("EVAL", self.source))
                    .await
            }
            answer => answer,
        }
    }
}
