use std::io;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::LazyLock;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use super::flavour::on_path;

/// How many starts may wait for the one before.
const STARTS_MAX: usize = 64;

struct Start {
    command: Command,
    started: SyncSender<io::Result<Child>>,
}

/// Starts a process that dies with this one, whatever ends this one.
///
/// Linux ties a child to the *thread* that started it, and threads of tests and runtimes come and
/// go: so one thread that lasts starts them all.
pub(crate) fn start(command: Command) -> io::Result<Child> {
    static SPAWNER: LazyLock<SyncSender<Start>> = LazyLock::new(|| {
        let (starts, queue) = sync_channel::<Start>(STARTS_MAX);
        thread::spawn(move || {
            for Start {
                mut command,
                started,
            } in queue
            {
                // Whoever asks waits for the answer, and is there to hear it.
                drop(started.send(command.spawn()));
            }
        });
        starts
    });
    let gone = || io::Error::other("the thread that starts processes is gone");
    let (started, answer) = sync_channel(1);
    let start = Start { command, started };
    SPAWNER.send(start).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

/// A command for `program` whose process is killed by the system when its parent ends.
///
/// Where there is no `setpriv` that can do it, it is killed when its owner is dropped, and only
/// then.
pub(crate) fn bound(program: &Path) -> Command {
    static BOUND: LazyLock<bool> = LazyLock::new(|| {
        let Some(setpriv) = on_path("setpriv") else {
            return false;
        };
        Command::new(setpriv)
            .args(["--pdeathsig", "KILL", "true"])
            .output()
            .is_ok_and(|output| output.status.success())
    });
    if !*BOUND {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program);
    command
}
