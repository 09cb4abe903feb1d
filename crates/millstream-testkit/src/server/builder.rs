use std::ffi::OsString;

use anyhow::{Context as _, Result, bail};

use super::flavour::Flavour;
use super::folder::Folder;
use super::port::Port;
use super::process::Process;
use super::standalone::{ADMIN, ADMIN_PASSWORD, Server};

/// How often another port is tried when somebody took the one that was free.
const PORTS_MAX: usize = 5;

/// What a server is to be like.
#[derive(Clone, Debug)]
pub struct Builder {
    flavour: Flavour,
    append_only: bool,
    password: Option<String>,
    settings: Vec<Vec<String>>,
}

impl Builder {
    /// A server with an append-only file, without snapshots, without a password.
    pub fn new(flavour: Flavour) -> Self {
        Self {
            flavour,
            append_only: true,
            password: None,
            settings: Vec::new(),
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

    /// Starts it and waits until it answers.
    ///
    /// # Errors
    ///
    /// If there is no such server here, or it does not start; the last lines that it wrote are in
    /// the message then.
    pub async fn start(self) -> Result<Server> {
        let binary = self.flavour.binary()?;
        for _ in 0..PORTS_MAX {
            let port = Port::reserve()?;
            let folder = Folder::new()?;
            let arguments = self.arguments(&folder, &port);
            let process = Process::new(binary.clone(), arguments, folder.join("server.log"));
            let server = Server::new(self.flavour, port, folder, self.password.clone(), process);
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

    fn arguments(&self, folder: &Folder, port: &Port) -> Vec<OsString> {
        let yes = |yes: bool| if yes { "yes" } else { "no" };
        let mut arguments = Arguments::default();
        arguments.add("port", [port.number().to_string()]);
        arguments.add("bind", ["127.0.0.1", "-::1"]);
        arguments.add("dir", [folder.path()]);
        arguments.add("unixsocket", [Server::socket_in(folder)]);
        arguments.add("unixsocketperm", ["700"]);
        arguments.add("save", [""]);
        arguments.add("appendonly", [yes(self.append_only)]);
        arguments.add(
            "user",
            [
                ADMIN,
                "on",
                &format!(">{ADMIN_PASSWORD}"),
                "~*",
                "&*",
                "+@all",
            ],
        );
        if self.flavour.is_current() {
            arguments.add("enable-debug-command", ["yes"]);
        }
        if let Some(password) = &self.password {
            arguments.add("requirepass", [password]);
        }
        arguments
            .0
            .extend(self.settings.iter().flatten().map(OsString::from));
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
