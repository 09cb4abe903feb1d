//! The binary with real servers as its transport.

mod acl;
mod arriving;
mod documents;
mod listing;
mod setups;
mod site;
