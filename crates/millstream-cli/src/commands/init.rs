use std::fs::{self, OpenOptions};
use std::io::{self, Write};

use anyhow::Context;

use crate::cli::{Global, Init};
use crate::exit_code::{Code, Coded};
use crate::output;

const CONFIGURATION: &str = include_str!("init.toml");

/// The table that the file maps onto, for people who only want to try.
const TABLE: &str = "CREATE TABLE employees (tenant_id TEXT, user_id TEXT, email TEXT, name TEXT, \
                     PRIMARY KEY (tenant_id, user_id))";

pub(super) fn run(global: &Global, args: &Init) -> anyhow::Result<Code> {
    let path = args.dir.join("millstream.toml");
    if args.dry_run {
        if global.json {
            let file = serde_json::json!({ "dryRun": true, "path": path, "text": CONFIGURATION });
            output::json(&file)?;
        } else {
            output::line(CONFIGURATION.trim_end())?;
        }
        return Ok(Code::Done);
    }
    fs::create_dir_all(&args.dir).with_context(|| format!("cannot make {}", args.dir.display()))?;
    let file = OpenOptions::new().write(true).create_new(true).open(&path);
    let mut file = match file {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(Coded::refused(format!("{} exists already", path.display())));
        }
        result => result.with_context(|| format!("cannot write {}", path.display()))?,
    };
    file.write_all(CONFIGURATION.as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))?;

    if global.json {
        output::json(&serde_json::json!({ "written": path }))?;
        return Ok(Code::Done);
    }
    output::line(format!("wrote {}", path.display()))?;
    let database = args.dir.join("hr.db");
    output::remark(
        global,
        format!(
            "\nNext:\n  1. make the table that HR keeps:  sqlite3 {} \"{TABLE}\"\n  \
             2. make our own tables:           millstream migrate --config {path}\n  \
             3. start relay and consumer:      millstream run --config {path}\n  \
             4. publish something:             millstream publish --config {path} user.created acme 7 \
             '{{\"email\": \"ann@example.com\", \"name\": \"Ann\"}}'",
            database.display(),
            path = path.display(),
        ),
    );
    Ok(Code::Done)
}
