//! The table at the end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use millstream::core::delivery::Outcome;
use millstream::core::name::AppName;

use crate::cli::Global;
use crate::commands::demo::agree::Agreement;
use crate::commands::demo::pipeline::Ran;
use crate::output::{self, Table};

pub(super) struct Report {
    pub(super) ran: BTreeMap<AppName, Ran>,
    pub(super) agreements: Vec<Agreement>,
    pub(super) elapsed: Duration,
    pub(super) dir: PathBuf,
}

impl Report {
    /// Whether every target equals the source.
    pub(super) fn agrees(&self) -> bool {
        self.agreements
            .iter()
            .all(|agreement| agreement.differences == 0)
    }

    pub(super) fn print(&self, global: &Global) -> anyhow::Result<()> {
        if global.json {
            return self.print_json();
        }
        let header = [
            "application",
            "applied",
            "superseded",
            "skipped",
            "dead",
            "rows",
            "events/s",
            "agrees",
        ];
        let mut table = Table::new(header).right(1..7);
        for agreement in &self.agreements {
            let Some((name, ran)) = self.of(agreement) else {
                continue;
            };
            let count = |outcome| ran.counts.get(outcome).to_string();
            table.row([
                name.to_string(),
                count(Outcome::Applied),
                count(Outcome::Superseded),
                count(Outcome::Skipped),
                count(Outcome::Dead),
                agreement.rows.to_string(),
                format!("{:.0}", per_second(ran)),
                match agreement.differences {
                    0 => "yes".into(),
                    n => format!("no: {n} rows differ"),
                },
            ]);
        }
        output::line(table)?;
        output::line(format!(
            "{:.1} s from the first event to the last commit in the last database",
            self.elapsed.as_secs_f64()
        ))?;
        self.point_at_dead_letters(global);
        let dir = self.dir.display();
        output::remark(
            global,
            format!(
                "\nTry next, in this folder or with the full path of the binary:\n  \
                 look into a database:    sqlite3 {dir}/hr.db 'SELECT * FROM event_tracking LIMIT 5'\n  \
                 start relay, consumers:  millstream run --config {dir}/millstream.toml\n  \
                 publish, see it arrive:  millstream publish --config {dir}/millstream.toml --wait \
                 role.assigned acme 1 '{{\"title\": \"Director\"}}'"
            ),
        );
        Ok(())
    }

    fn point_at_dead_letters(&self, global: &Global) {
        for (name, ran) in &self.ran {
            let dead = ran.counts.get(Outcome::Dead);
            let blocked = ran.counts.get(Outcome::Blocked);
            if dead + blocked > 0 {
                let dir = self.dir.display();
                output::remark(
                    global,
                    format!(
                        "{name} has {dead} dead and {blocked} blocked: see millstream dead-letters \
                         list --app {name} --config {dir}/millstream.toml"
                    ),
                );
            }
        }
    }

    fn print_json(&self) -> anyhow::Result<()> {
        for agreement in &self.agreements {
            let Some((name, ran)) = self.of(agreement) else {
                continue;
            };
            let mut row = json!({
                "application": name.as_str(),
                "rows": agreement.rows,
                "differences": agreement.differences,
                "agrees": agreement.differences == 0,
                "eventsPerSecond": per_second(ran),
                "seconds": ran.took.as_secs_f64(),
            });
            for outcome in Outcome::ALL {
                row[outcome.as_str()] = ran.counts.get(outcome).into();
            }
            output::json(&row)?;
        }
        Ok(())
    }

    fn of(&self, agreement: &Agreement) -> Option<(&AppName, &Ran)> {
        self.ran
            .iter()
            .find(|(name, _)| name.as_str() == agreement.application)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn per_second(ran: &Ran) -> f64 {
    ran.settled as f64 / ran.took.as_secs_f64().max(0.001)
}
