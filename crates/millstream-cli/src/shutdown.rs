//! Stopping when asked to.

use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use millstream::CancellationToken;

/// A token that is cancelled by SIGTERM or Ctrl-C. The second signal ends the process at once, which
/// loses nothing but time.
pub(crate) fn on_signal() -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let cancel = token.clone();
    tokio::spawn(async move {
        let mut asked = false;
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if asked {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "whoever asks twice does not want to wait"
                )]
                std::process::exit(130);
            }
            asked = true;
            info!("stopping: finishing the transactions at hand (again to stop at once)");
            cancel.cancel();
        }
    });
    Ok(token)
}
