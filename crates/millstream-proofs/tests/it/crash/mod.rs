//! What kills processes and servers; the runner takes these two at a time.

mod embedded;
mod redis;
mod servers;
