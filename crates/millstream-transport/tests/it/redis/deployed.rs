//! The suites on what takes seconds to form, which is therefore formed once for each process and
//! emptied before each case.

use tokio::sync::{Mutex, MutexGuard};

use millstream_testkit::server::{Cluster, Flavour, Sentinel, Server};
use millstream_testkit::suite::Place;
use millstream_testkit::{log_suite, queue_suite};
use millstream_transport::redis::{Options, Transport};

/// Several servers that are one.
trait Deployment: Send + Sync + Sized + 'static {
    fn form() -> impl Future<Output = Self> + Send;
    fn url(&self) -> String;
    fn nodes(&self) -> &[Server];
}

impl Deployment for Sentinel {
    async fn form() -> Self {
        Self::start(Flavour::Redis, 1).await.unwrap()
    }

    fn url(&self) -> String {
        self.url()
    }

    fn nodes(&self) -> &[Server] {
        self.nodes()
    }
}

impl Deployment for Cluster {
    async fn form() -> Self {
        Self::start(Flavour::Valkey).await.unwrap()
    }

    fn url(&self) -> String {
        self.url()
    }

    fn nodes(&self) -> &[Server] {
        self.nodes()
    }
}

/// The deployment of this process, for one case at a time.
struct Formed<D: 'static>(MutexGuard<'static, Option<D>>);

impl<D: Deployment> Formed<D> {
    async fn empty(formed: &'static Mutex<Option<D>>) -> Self {
        let mut formed = formed.lock().await;
        let deployment = match formed.take() {
            Some(deployment) => deployment,
            None => D::form().await,
        };
        for node in deployment.nodes() {
            // Replicas refuse, and follow their masters.
            let refused = node.command(&["FLUSHALL"]).await.err();
            let code = refused.as_ref().map(redis::RedisError::code);
            assert!(matches!(code, None | Some(Some("READONLY"))), "{refused:?}");
        }
        *formed = Some(deployment);
        Self(formed)
    }

    async fn connect(&self) -> Transport {
        let deployment = self.0.as_ref().expect("it was formed");
        let options = Options::parse(&deployment.url()).unwrap();
        Transport::connect(options).await.unwrap()
    }
}

macro_rules! deployments {
    ($($module:ident: $deployment:ident;)*) => {
        $(
            mod $module {
                use super::*;

                static FORMED: Mutex<Option<$deployment>> = Mutex::const_new(None);

                struct This(Formed<$deployment>);

                impl Place for This {
                    type Handle = Transport;

                    async fn make() -> Self {
                        Self(Formed::empty(&FORMED).await)
                    }

                    async fn connect(&self) -> Transport {
                        self.0.connect().await
                    }
                }

                mod log {
                    use super::*;
                    log_suite!(one by one: This);
                }

                mod queue {
                    use super::*;
                    queue_suite!(one by one: This);
                }
            }
        )*
    };
}

deployments! {
    sentinel: Sentinel;
    cluster: Cluster;
}
