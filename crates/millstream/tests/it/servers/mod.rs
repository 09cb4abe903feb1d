//! HR keeps its tables on a server, where it is a user of few rights.

mod connections;
mod place;
mod taken;
