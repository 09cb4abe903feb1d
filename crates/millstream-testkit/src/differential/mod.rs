//! Two transports that are given the same operations, and must give the same answers.
//!
//! [`run`] makes programs of random operations on both contracts, [`Log`] and [`Queue`], runs each on
//! both sides, and compares answer by answer. What cannot be equal is put into a common form: ids
//! that a transport makes by its clock become their place in the order of additions, idle times are
//! left out. What may differ besides is a [`Difference`] with a name and the reply of the server that
//! forces it; all of them are in one table, [`DECLARED`].
//!
//! A seed replays a run. A program whose answers differ is made as short as can be found before it is
//! shown.
//!
//! [`Log`]: millstream_core::log::Log
//! [`Queue`]: millstream_core::queue::Queue

mod answer;
mod compare;
mod declared;
mod generate;
mod log;
mod operation;
mod queue;
mod run;
mod shorten;
mod side;

pub use declared::{DECLARED, Difference};
pub use run::{Failure, Options, Report, run};
pub use side::Side;
