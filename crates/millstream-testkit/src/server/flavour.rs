use std::env;
use std::fmt;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

/// Where `./test` puts servers that no package of the system brings, seen from any package.
const TOOLS: &str = "../../target/tools";

/// Which server is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flavour {
    /// Redis 7.0 or later: `MILLSTREAM_TEST_REDIS`, or `redis-server` of the system.
    Redis,
    /// Valkey 9 or later: `MILLSTREAM_TEST_VALKEY`, or what `./test` has installed.
    Valkey,
    /// Redis 6.2, which Millstream refuses: `MILLSTREAM_TEST_REDIS_6`, or what `./test` has
    /// installed.
    Redis6,
}

impl Flavour {
    /// Those that Millstream works with.
    pub const SUPPORTED: [Self; 2] = [Self::Redis, Self::Valkey];

    /// Finds its binary.
    ///
    /// # Errors
    ///
    /// If there is none here: a test that needs a server fails then, and says what to do.
    pub fn binary(self) -> Result<PathBuf> {
        let (variable, name) = self.names();
        if let Some(named) = env::var_os(variable).filter(|path| !path.is_empty()) {
            return Ok(named.into());
        }
        let found = match self {
            Self::Redis => on_path(name),
            Self::Valkey | Self::Redis6 => tool(name),
        };
        found.with_context(|| {
            format!(
                "{self} is not installed, and this test needs it. Run ./test tools, which \
                 installs it, or name the binary of the server in {variable}"
            )
        })
    }

    /// Whether its configuration has what came with 7.0.
    pub(crate) fn is_current(self) -> bool {
        self != Self::Redis6
    }

    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Redis => ("MILLSTREAM_TEST_REDIS", "redis-server"),
            Self::Valkey => ("MILLSTREAM_TEST_VALKEY", "valkey-server"),
            Self::Redis6 => ("MILLSTREAM_TEST_REDIS_6", "redis-server-6"),
        }
    }
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Redis => "Redis",
            Self::Valkey => "Valkey",
            Self::Redis6 => "Redis 6.2",
        })
    }
}

/// The program of that name in `PATH`.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

fn tool(name: &str) -> Option<PathBuf> {
    // Asked when it runs: a target folder may outlive the checkout that it was built from.
    let package = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let file = package.join(TOOLS).join(name);
    file.is_file().then_some(file)
}
