use std::io::{self, Read as _};
use std::thread;

use millstream::CancellationToken;

/// A token that is cancelled when stdin is closed.
pub(super) fn when_stdin_closes() -> CancellationToken {
    let token = CancellationToken::new();
    let closed = token.clone();
    thread::spawn(move || {
        let mut rest = Vec::new();
        // An error is an end too.
        io::stdin().lock().read_to_end(&mut rest).ok();
        closed.cancel();
    });
    token
}
