use std::marker::PhantomData;

use millstream_testkit::server::{Flavour, Server};
use millstream_testkit::suite::Place;
use millstream_testkit::{log_suite, queue_suite};
use millstream_transport::redis::{Options, Protocol, Transport};

/// Which server, and which form of replies.
pub(super) trait Kind: Send + Sync + 'static {
    const FLAVOUR: Flavour;
    const PROTOCOL: Protocol;
}

/// One server, which forgets everything.
pub(super) struct Standalone<K>(Server, PhantomData<K>);

impl<K: Kind> Place for Standalone<K> {
    type Handle = Transport;

    async fn make() -> Self {
        let server = Server::builder(K::FLAVOUR).in_memory().start().await;
        Self(server.unwrap(), PhantomData)
    }

    async fn connect(&self) -> Transport {
        let options = Options::parse(&self.0.url()).unwrap();
        Transport::connect(options.protocol(K::PROTOCOL))
            .await
            .unwrap()
    }
}

macro_rules! kinds {
    ($($module:ident: $flavour:ident, $protocol:ident;)*) => {
        $(
            mod $module {
                use super::*;

                struct This;

                impl Kind for This {
                    const FLAVOUR: Flavour = Flavour::$flavour;
                    const PROTOCOL: Protocol = Protocol::$protocol;
                }

                mod log {
                    use super::*;
                    log_suite!(Standalone<This>);
                }

                mod queue {
                    use super::*;
                    queue_suite!(Standalone<This>);
                }
            }
        )*
    };
}

kinds! {
    redis: Redis, Resp2;
    redis_resp3: Redis, Resp3;
    valkey: Valkey, Resp2;
    valkey_resp3: Valkey, Resp3;
}
