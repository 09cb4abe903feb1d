//! Conformance suites: what each implementation of a contract must do.
//!
//! A transport gives a [`Place`] and expands [`log_suite!`](crate::log_suite) or
//! [`queue_suite!`](crate::queue_suite) in its tests, a database gives a [`Site`] and expands
//! [`capture_suite!`](crate::capture_suite), [`injection_suite!`](crate::injection_suite),
//! [`leases_suite!`](crate::leases_suite),
//! [`outbox_suite!`](crate::outbox_suite) and [`store_suite!`](crate::store_suite); each case then is a
//! test with a name of its own. Where places are dear, `log_suite!(one by one: Place)` makes one test of
//! all. The crate needs `tokio` with `rt-multi-thread` and `macros`.

pub mod capture;
pub mod injection;
pub mod leases;
pub mod log;
mod model;
pub mod outbox;
pub mod queue;
mod site;
pub mod store;

pub use site::Site;

use std::future::Future;
use std::time::Duration;

use millstream_core::log::ReadLimit;

/// Somewhere that a transport keeps its streams.
pub trait Place: Sized + Send + Sync + 'static {
    /// The transport.
    type Handle: Send + Sync + 'static;

    /// Makes an empty place. It goes away when it is dropped.
    fn make() -> impl Future<Output = Self> + Send;

    /// Connects to it, as a process of its own would where that is possible.
    fn connect(&self) -> impl Future<Output = Self::Handle> + Send;
}

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(30);

/// Far below [`PATIENCE`], and above what a busy machine adds: whoever takes longer was not woken.
const PROMPT: Duration = Duration::from_secs(1);

/// A read that is limited by nothing.
const ALL: ReadLimit = ReadLimit {
    count: usize::MAX >> 1,
    bytes: usize::MAX,
};

/// At most this many entries.
fn up_to(count: usize) -> ReadLimit {
    ReadLimit { count, ..ALL }
}

/// The middle one.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Makes one `#[test]` of each case of a suite.
#[doc(hidden)]
#[macro_export]
macro_rules! __cases {
    ($place:ty, $suite:ident: $($case:ident)*; $($property:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                $crate::suite::$suite::$case::<$place>().await;
            }
        )*
        $(
            #[test]
            fn $property() {
                $crate::suite::$suite::$property::<$place>();
            }
        )*
    };
}

/// Makes one `#[test]` of all cases of a suite, which run one after another, and one of each property.
#[doc(hidden)]
#[macro_export]
macro_rules! __cases_one_by_one {
    ($place:ty, $suite:ident: $($case:ident)*; $($property:ident)*) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn all_cases() {
            $(
                println!("{}", stringify!($case));
                $crate::suite::$suite::$case::<$place>().await;
            )*
        }
        $(
            #[test]
            fn $property() {
                $crate::suite::$suite::$property::<$place>();
            }
        )*
    };
}
