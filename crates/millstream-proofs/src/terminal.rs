use std::fmt::Display;
use std::io::{self, Write as _};

/// Says on stderr how it goes.
pub(crate) fn say(what: impl Display) {
    // Nobody may be listening, and that changes nothing.
    writeln!(io::stderr().lock(), "{what}").ok();
}

/// Prints a result on stdout.
pub(crate) fn print(what: impl Display) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{what}")
}
