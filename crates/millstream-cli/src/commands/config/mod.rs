//! Looking at the configuration: what it comes to, and whether it fits.

mod check;
mod show;

use crate::cli::{Config, Global};
use crate::exit_code::Code;

pub(super) async fn run(global: &Global, args: &Config) -> anyhow::Result<Code> {
    match args {
        Config::Check { offline: true } => check::offline(global),
        Config::Check { offline: false } => check::check(global).await,
        Config::Show => show::show(global),
    }
}
