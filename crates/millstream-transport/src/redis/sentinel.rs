//! Asks sentinels who the master is.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::address::Address;
use super::connection::{Connection, Settings};
use super::error::Fault;
use super::gate::Gate;
use super::reply;

/// How long an answer is believed while nothing contradicts it: a master that was cut off from its
/// sentinels goes on answering us.
const BELIEVED: Duration = Duration::from_secs(10);

/// How long a sentinel may take to confirm what is believed.
const CONFIRM_MAX: Duration = Duration::from_millis(500);

pub(super) struct Sentinels {
    addresses: Vec<Address>,
    master: String,
    settings: Arc<Settings>,
    gate: Gate,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    found: Option<(Address, Instant)>,
    /// Who is asked first.
    first: usize,
}

impl Sentinels {
    pub(super) fn new(addresses: Vec<Address>, master: String, settings: Settings) -> Self {
        Self {
            addresses,
            master,
            settings: Arc::new(settings),
            gate: Gate::new(),
            state: Mutex::default(),
        }
    }

    /// The master's address.
    pub(super) async fn resolve(&self) -> Result<Address, Fault> {
        let mut state = self.state.lock().await;
        match &state.found {
            Some((address, at)) if at.elapsed() < BELIEVED => return Ok(address.clone()),
            Some((address, _)) => {
                let believed = address.clone();
                let asked = &self.addresses[state.first];
                let address = match timeout(CONFIRM_MAX, self.ask(asked)).await {
                    Ok(Ok(address)) => address,
                    _ => {
                        state.first = (state.first + 1) % self.addresses.len();
                        believed
                    }
                };
                state.found = Some((address.clone(), Instant::now()));
                return Ok(address);
            }
            None => {}
        }
        let _turn = self.gate.pass().await?;
        match self.ask_each(&mut state).await {
            Ok(address) => {
                self.gate.succeeded();
                state.found = Some((address.clone(), Instant::now()));
                Ok(address)
            }
            Err(fault) => {
                self.gate.failed(&fault);
                Err(fault)
            }
        }
    }

    /// Believes in this master no longer, and asks another sentinel first.
    pub(super) async fn forget(&self, address: &Address) {
        let mut state = self.state.lock().await;
        if state
            .found
            .as_ref()
            .is_some_and(|(found, _)| found == address)
        {
            state.found = None;
            state.first = (state.first + 1) % self.addresses.len();
        }
    }

    async fn ask_each(&self, state: &mut State) -> Result<Address, Fault> {
        let mut faults = Vec::new();
        for offset in 0..self.addresses.len() {
            let number = (state.first + offset) % self.addresses.len();
            match self.ask(&self.addresses[number]).await {
                Ok(address) => {
                    state.first = number;
                    return Ok(address);
                }
                Err(fault) => faults.push((&self.addresses[number], fault)),
            }
        }
        // What a person has to mend comes before what may pass.
        let worst = faults
            .iter()
            .position(|(_, fault)| fault.is_misconfigured())
            .unwrap_or(0);
        let (address, fault) = faults.swap_remove(worst);
        Err(fault.at(format!("sentinel {address}")))
    }

    async fn ask(&self, sentinel: &Address) -> Result<Address, Fault> {
        let connection = Connection::open(sentinel, &self.settings).await?;
        let mut command = redis::cmd("SENTINEL");
        command.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.master);
        let answer = connection.run(&command).await?;
        if answer == Value::Nil {
            let master = &self.master;
            return Err(Fault::misconfigured(format!(
                "it knows no master {master} (check the name at the end of the URL)"
            )));
        }
        let mut parts = reply::array(answer)?.into_iter();
        let (Some(host), Some(port)) = (parts.next(), parts.next()) else {
            return Err(Fault::shape("no address"));
        };
        let port = u16::try_from(reply::number(port)?).map_err(|_| Fault::shape("no port"))?;
        Ok(Address::tcp(reply::text(host)?, port))
    }
}
