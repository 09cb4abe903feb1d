//! Finds out whether a server can do what is needed, by asking it to. Versions tell nothing: Valkey
//! calls itself Redis 7.2.

use redis::Value;

use super::error::{Class, Fault};
use super::key::PUBLISHERS;
use super::reply;
use super::router::Router;

/// Scripts with flags, which came with Redis 7.0, as did everything else that is needed.
const FLAGS: &str = "#!lua flags=no-writes,allow-oom,allow-stale\nreturn 1";

/// Answered with nothing by servers before 7.0, in which no subcommand stands for itself.
const SUBCOMMAND: &str = "xgroup|setid";

pub(super) async fn probe(router: &Router) -> Result<(), Fault> {
    // Any key's server will do.
    let key = PUBLISHERS.as_bytes();
    let mut script = redis::cmd("EVAL");
    script.arg(FLAGS).arg(0);
    match router.run(key, &script).await {
        Ok(_) => return Ok(()),
        Err(Fault::Refused(refusal)) if refusal.says("compiling script") => {
            return Err(too_old());
        }
        // A user who may not run scripts may have enough with less.
        Err(Fault::Refused(refusal)) if refusal.code == "NOPERM" => {}
        Err(fault) => return Err(fault),
    }
    let mut info = redis::cmd("COMMAND");
    info.arg("INFO").arg(SUBCOMMAND);
    match router.run(key, &info).await {
        Ok(known) => match reply::array(known)?
            .iter()
            .all(|about| *about == Value::Nil)
        {
            true => Err(too_old()),
            false => Ok(()),
        },
        // What the user may not ask shows when it is needed.
        Err(fault) if fault.class() == Some(Class::Misconfigured) => Ok(()),
        Err(fault) => Err(fault),
    }
}

fn too_old() -> Fault {
    Fault::misconfigured(
        "the server is too old: it lacks script flags (use Redis 7.0 or later, or Valkey)",
    )
}
