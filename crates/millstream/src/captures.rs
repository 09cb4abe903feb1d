use std::collections::BTreeSet;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::App;

/// How often captured tables are looked at.
const INTERVAL: Duration = Duration::from_secs(60);

impl App {
    /// Looks every minute whether its captured tables still are as they were captured, and warns once
    /// about each that is not; until stopped. A database that is away is looked at again.
    pub async fn watch_captures(&self, stop: CancellationToken) {
        let database = self.database();
        let mut told = BTreeSet::new();
        loop {
            let mut problems = BTreeSet::new();
            for captured in database.captured().await.unwrap_or_default() {
                problems.extend(captured.problem);
            }
            for problem in problems.difference(&told) {
                tracing::warn!(application = %self.name(), %problem, "a captured table has changed");
            }
            told = problems;
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(INTERVAL) => {}
            }
        }
    }
}
