//! The folder of the demo: a configuration, four databases, and later the log.

use std::fs;
use std::path::Path;

use anyhow::Context;
use millstream::rusqlite::Connection;

use crate::exit_code::Coded;

const CONFIGURATION: &str = include_str!("millstream.toml");

/// The applications' own tables, as each of them would have made them.
const TABLES: [(&str, &str); 4] = [
    ("crm.db", include_str!("crm.sql")),
    ("hr.db", include_str!("hr.sql")),
    ("affiliate.db", include_str!("affiliate.sql")),
    ("system.db", include_str!("system.sql")),
];

/// Makes what is missing. A demo that was broken off goes on where it was.
///
/// Refuses a folder with another configuration: it is somebody's own.
pub(super) fn prepare(dir: &Path) -> anyhow::Result<()> {
    let path = dir.join("millstream.toml");
    match fs::read_to_string(&path) {
        Ok(found) if found != CONFIGURATION => {
            return Err(Coded::refused(format!(
                "{} is not the demo's: choose another folder with --dir",
                path.display()
            )));
        }
        Ok(_) => {}
        Err(_) => {
            fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
            let foreign = TABLES
                .iter()
                .map(|(file, _)| dir.join(file))
                .find(|file| file.exists());
            if let Some(foreign) = foreign {
                return Err(Coded::refused(format!(
                    "{} is there already, without the demo's configuration: choose another folder \
                     with --dir",
                    foreign.display()
                )));
            }
            fs::write(&path, CONFIGURATION)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    for (file, tables) in TABLES {
        let path = dir.join(file);
        Connection::open(&path)
            .and_then(|db| db.execute_batch(tables))
            .with_context(|| format!("cannot make the tables of {}", path.display()))?;
    }
    Ok(())
}
