use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::Global;

/// Several bars on stderr; none where nobody looks.
pub(crate) struct Progress(MultiProgress);

impl Progress {
    pub(crate) fn new(global: &Global) -> Self {
        let target = if global.quiet || global.json {
            ProgressDrawTarget::hidden()
        } else {
            // Indicatif itself draws nothing where stderr is no terminal.
            ProgressDrawTarget::stderr_with_hz(10)
        };
        Self(MultiProgress::with_draw_target(target))
    }

    /// A bar that runs up to `length`, or counts where that is not known.
    pub(crate) fn bar(&self, name: &str, length: Option<u64>) -> ProgressBar {
        let template = match length {
            Some(_) => "{prefix:>20} {bar:30} {human_pos:>9}/{human_len} {per_sec:>14} {eta:>5}",
            None => "{prefix:>20} {spinner} {human_pos:>9} {per_sec:>14}",
        };
        let bar = length.map_or_else(ProgressBar::no_length, ProgressBar::new);
        let bar = self.0.add(bar);
        bar.set_style(ProgressStyle::with_template(template).expect("the template is valid"));
        bar.set_prefix(name.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }
}
