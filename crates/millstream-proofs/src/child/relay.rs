use crate::child::pulse::{Pulse, beat};
use crate::child::stop;
use crate::site::Site;

pub(super) async fn run(site: &Site) -> anyhow::Result<()> {
    let crm = site.app("crm")?;
    let transport = site.connect().await?;
    let relay = crm.relay(&transport);
    let handle = relay.handle();
    let pulse = || {
        let status = handle.status();
        Pulse {
            done: status.sent,
            repairs: status.repairs,
            ..Pulse::default()
        }
    };
    tokio::select! {
        ended = relay.run(stop::when_stdin_closes()) => Ok(ended?),
        ended = beat(pulse) => ended,
    }
}
