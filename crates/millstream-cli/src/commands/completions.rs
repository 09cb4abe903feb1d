use std::io;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::exit_code::Code;

pub(super) fn run(shell: Shell) -> anyhow::Result<Code> {
    clap_complete::generate(shell, &mut Cli::command(), "millstream", &mut io::stdout());
    Ok(Code::Done)
}
