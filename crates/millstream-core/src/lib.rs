//! The words of Millstream: events, their wire form, mappings, and the contracts of the parts that
//! move them.
//!
//! Everything in here is a value or a trait. This crate does no I/O, spawns nothing, and reads no
//! clock, so that every rule in it can be tested as a plain function.
//!
//! | to read about | go to |
//! |---|---|
//! | what happened | [`event`], [`name`] |
//! | how it travels | [`wire`], [`entry`], [`blob`], the traits [`Log`](log::Log) and [`Queue`](queue::Queue) |
//! | how it becomes rows | [`mapping`], [`change`], [`fold`] |
//! | where it lands | [`delivery`], [`contents`], the trait [`Store`](store::Store) |
//! | where it comes from | the trait [`Outbox`](outbox::Outbox) |
//! | how rows of others become events | the trait [`Capture`](capture::Capture) |
//! | who works on what | [`lease`] |
//! | who follows whom, and how far | [`descriptor`], [`acknowledgment`] |
//! | what can go wrong | [`error`], [`retry`], [`limits`] |

pub mod acknowledgment;
pub mod blob;
pub mod capture;
pub mod change;
pub mod clock;
pub mod contents;
pub mod delivery;
pub mod descriptor;
pub mod entry;
pub mod error;
pub mod event;
pub mod fold;
pub mod lease;
pub mod limits;
pub mod log;
pub mod mapping;
pub mod name;
pub mod outbox;
pub mod queue;
pub mod retry;
pub mod store;
pub mod value;
pub mod wire;
