use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use millstream::CancellationToken;

/// A token that is cancelled when stdin is closed.
pub(super) fn when_stdin_closes() -> CancellationToken {
    listen(Arc::default())
}

/// The same; until then each line on stdin is a number, the latest of which `told` holds.
pub(super) fn listen(told: Arc<AtomicU64>) -> CancellationToken {
    let token = CancellationToken::new();
    let closed = token.clone();
    thread::spawn(move || {
        // An error is an end too.
        for line in io::stdin().lines().map_while(Result::ok) {
            if let Ok(number) = line.parse() {
                told.store(number, Ordering::Relaxed);
            }
        }
        closed.cancel();
    });
    token
}
