//! A follower's PostgreSQL fails over to a standby that is behind, while its consumer runs.

mod busy;
mod idle;
mod place;
mod shared;
