use std::ffi::OsString;
use std::fs;

use anyhow::{Context as _, Result, bail};

use super::flavour::Flavour;
use super::folder::Folder;
use super::port::Port;
use super::process::Process;
use super::standalone::{ADMIN, ADMIN_PASSWORD, Server};

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
    sentinel: bool,
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
        let arguments = self.arguments(&folder, &port);
        let process = Process::new(binary, arguments, folder.join("server.log"));
        let password = self.password.clone();
        Ok(Server::new(self.flavour, port, folder, password, process))
    }

    fn arguments(&self, folder: &Folder, port: &Port) -> Vec<OsString> {
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
        arguments.0
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
