//! What kills processes and servers; the runner takes these one at a time.

mod embedded;
mod redis;
mod servers;
