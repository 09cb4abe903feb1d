//! Other shapes than the flat one that are met on a shared stream.
//!
//! Each dialect is a translation into the fields of version 1, tried by shape: what it does not know
//! stays as it is, and what it cannot find is left for the decoder to miss.

mod assignment;
mod cloud_event;
mod credit;
mod document;
mod draft;
mod nested;
mod sync;
mod translate;

pub(super) use translate::translate;
