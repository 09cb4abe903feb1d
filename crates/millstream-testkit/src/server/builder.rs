use std::ffi::OsString;
use std::fs;

use anyhow::{Context as _, Result, bail, ensure};

use super::clock;
use super::flavour::Flavour;
use super::folder::Folder;
use super::port::Port;
use super::process::Process;
use super::standalone::{ADMIN, ADMIN_PASSWORD, Server};
use super::tls::Identity;

/// How often another port is tried when somebody took the one that was free.
const PORTS_MAX: usize = 5;

const SENTINEL_CONFIG: &str = "sentinel.conf";

/// What a server is to be like.
#[derive(Clone, Debug)]
pub struct Builder {
    flavour: Flavour,
    append_only: bool,
    password: Option<String>,
    settings: Vec<Vec<String>>,
    files: Vec<(&'static str, String)>,
    tls: Option<Tls>,
    clock_offset_seconds: Option<i64>,
    sentinel: bool,
}

#[derive(Clone, Debug)]
struct Tls {
    identity: Identity,
    clients_are_asked: bool,
}

impl Builder {
    /// A server with an append-only file, without snapshots, without a password.
    pub fn new(flavour: Flavour) -> Self {
        Self {
            flavour,
            append_only: true,
            password: None,
            settings: Vec::new(),
            files: Vec::new(),
            tls: None,
            clock_offset_seconds: None,
            sentinel: false,
        }
    }

    /// Leaves out the append-only file: a restart loses everything.
    #[must_use]
    pub fn in_memory(mut self) -> Self {
        self.append_only = false;
        self
    }

    /// Asks clients that name no user for a password.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Adds a user with rules as in `ACL SETUSER`, for example `["on", ">secret", "~*", "+@read"]`.
    #[must_use]
    pub fn user(self, name: &str, rules: &[&str]) -> Self {
        self.setting("user", &[&[name], rules].concat())
    }

    /// Adds a line of the server's configuration.
    #[must_use]
    pub fn setting(mut self, name: &str, values: &[&str]) -> Self {
        let mut setting = vec![format!("--{name}")];
        setting.extend(values.iter().map(|value| (*value).to_owned()));
        self.settings.push(setting);
        self
    }

    /// Has it listen with TLS too, on a port of its own, and show this certificate there.
    #[must_use]
    pub fn tls(mut self, identity: Identity) -> Self {
        self.tls = Some(Tls {
            identity,
            clients_are_asked: false,
        });
        self
    }

    /// As [`Self::tls`], and refuses clients that show no certificate of the authority.
    #[must_use]
    pub fn mutual_tls(mut self, identity: Identity) -> Self {
        self.tls = Some(Tls {
            identity,
            clients_are_asked: true,
        });
        self
    }

    /// Gives it a clock that is wrong by so many seconds, and that a test can set:
    /// [`Server::set_clock_offset`]. Only Valkey runs with it.
    #[must_use]
    pub fn clock_offset(mut self, seconds: i64) -> Self {
        self.clock_offset_seconds = Some(seconds);
        self
    }

    /// Puts a file into its folder before it starts.
    pub(crate) fn file(mut self, name: &'static str, text: String) -> Self {
        self.files.push((name, text));
        self
    }

    /// Makes it a Sentinel, with this configuration besides what every server has.
    pub(crate) fn sentinel(mut self, config: String) -> Self {
        self.sentinel = true;
        self.append_only = false;
        self.file(SENTINEL_CONFIG, config)
    }

    /// Starts it and waits until it answers.
    ///
    /// # Errors
    ///
    /// If there is no such server here, or it does not start; the last lines that it wrote are in
    /// the message then.
    pub async fn start(self) -> Result<Server> {
        for _ in 0..PORTS_MAX {
            let server = self.prepare(Port::reserve()?)?;
            match server.start().await {
                Ok(()) => return Ok(server),
                Err(_) if server.log_tail().contains("Address already in use") => {}
                Err(error) => {
                    return Err(error).context(format!("{} does not start", self.flavour));
                }
            }
        }
        bail!("{PORTS_MAX} ports were free and then taken by others")
    }

    /// One that is not started yet.
    pub(crate) fn prepare(&self, port: Port) -> Result<Server> {
        let binary = self.flavour.binary()?;
        let folder = Folder::new()?;
        for (name, text) in &self.files {
            fs::write(folder.join(name), text)?;
        }
        let mut arguments = self.arguments(&folder, &port);
        let tls_port = self.tls.as_ref().map(|_| Port::reserve()).transpose()?;
        if let (Some(tls), Some(port)) = (&self.tls, &tls_port) {
            tls.add(&mut arguments, port);
        }
        let mut process = Process::new(binary, arguments.0, folder.join("server.log"));
        if let Some(seconds) = self.clock_offset_seconds {
            ensure!(
                self.flavour == Flavour::Valkey,
                "{} does not start under libfaketime: its jemalloc asks for the time too early",
                self.flavour
            );
            clock::set(folder.path(), seconds)?;
            process = process.with_variables(clock::variables(&folder)?);
        }
        let password = self.password.clone();
        let server = Server::new(self.flavour, port, folder, password, process);
        Ok(server.with_tls_port(tls_port))
    }

    fn arguments(&self, folder: &Folder, port: &Port) -> Arguments {
        let mut arguments = Arguments::default();
        if self.sentinel {
            // It writes what it learns into this file, and wants it first.
            arguments.0.push(folder.join(SENTINEL_CONFIG).into());
            arguments.0.push("--sentinel".into());
        }
        arguments.add("port", [port.number().to_string()]);
        arguments.add("bind", ["127.0.0.1", "-::1"]);
        arguments.add("dir", [folder.path()]);
        arguments.add("unixsocket", [Server::socket_in(folder)]);
        arguments.add("unixsocketperm", ["700"]);
        let password = format!(">{ADMIN_PASSWORD}");
        arguments.add("user", [ADMIN, "on", &password, "~*", "&*", "+@all"]);
        if !self.sentinel {
            let append_only = if self.append_only { "yes" } else { "no" };
            arguments.add("save", [""]);
            arguments.add("appendonly", [append_only]);
            if self.flavour.is_current() {
                arguments.add("enable-debug-command", ["yes"]);
            }
        }
        if let Some(password) = &self.password {
            arguments.add("requirepass", [password]);
        }
        let settings = self.settings.iter().flatten();
        arguments.0.extend(settings.map(OsString::from));
        arguments
    }
}

impl Tls {
    fn add(&self, arguments: &mut Arguments, port: &Port) {
        let asked = if self.clients_are_asked { "yes" } else { "no" };
        arguments.add("tls-port", [port.number().to_string()]);
        arguments.add("tls-cert-file", [self.identity.certificate()]);
        arguments.add("tls-key-file", [self.identity.key()]);
        arguments.add("tls-ca-cert-file", [self.identity.authority()]);
        arguments.add("tls-auth-clients", [asked]);
    }
}

#[derive(Default)]
struct Arguments(Vec<OsString>);

impl Arguments {
    fn add<A: Into<OsString>>(&mut self, name: &str, values: impl IntoIterator<Item = A>) {
        self.0.push(format!("--{name}").into());
        self.0.extend(values.into_iter().map(Into::into));
    }
}
