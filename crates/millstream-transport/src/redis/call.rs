use std::fmt;

use millstream_core::error::Error;

use super::connect::Transport;
use super::error::Fault;

impl Transport {
    /// Says what could not be done with what, and where.
    pub(super) fn cannot(
        &self,
        action: &str,
        object: impl fmt::Display,
    ) -> impl FnOnce(Fault) -> Error {
        let context = format!("{}: cannot {action} {object}", self.location);
        move |fault| fault.into_error(context)
    }
}
