use crate::child::pulse::{Pulse, beat};
use crate::child::stop;
use crate::site::Site;

pub(super) async fn run(site: &Site) -> anyhow::Result<()> {
    let crm = site.app("crm")?;
    let transport = millstream::connect(&format!("sqlite:{}", site.log().display())).await?;
    let relay = crm.relay(&transport);
    let handle = relay.handle();
    tokio::select! {
        ended = relay.run(stop::when_stdin_closes()) => Ok(ended?),
        ended = beat(|| Pulse { done: handle.status().sent, repeated: 0 }) => ended,
    }
}
