//! Where an application's database is, and what stands beside its address.

use std::ops::Range;
use std::path::Path;

use toml::Spanned;

use crate::config::check::Checker;
use crate::config::database::Database;
use crate::config::file;
#[cfg(any(feature = "mysql", feature = "postgres"))]
use crate::config::login;

/// Connections of one role, at most: a server has few, and a relay or a consumer uses a handful.
#[cfg(any(feature = "mysql", feature = "postgres"))]
const CONNECTIONS_MAX: usize = 64;

/// The database, and how many connections each role may have to it.
pub(super) fn read(
    app: &file::App,
    folder: &Path,
    checker: &mut Checker<'_>,
) -> Option<(Database, Option<usize>)> {
    let span = app.database.span();
    let address = checker.expand(span.clone(), app.database.get_ref(), "sqlite:data/app.db")?;
    let database = checker.address(span, Database::parse(&address))?;
    let database = database.relative_to(folder);
    if let Some(notify) = &app.notify
        && !is_postgres(&database)
    {
        let message = "notify is for PostgreSQL";
        let help = "leave it out: the relay looks for what waits";
        checker.find(notify.span(), message, Some(help.into()));
    }
    match database {
        #[cfg(feature = "postgres")]
        Database::Postgres(mut server) => {
            let beside = Beside::read(app, &address, server.is_encrypted(), folder, checker);
            if let Some(user) = beside.user {
                *server = server.user(&user);
            }
            if let Some(password) = beside.password {
                *server = server.password(&password);
            }
            if let Some(ca) = beside.ca {
                *server = server.authorities(ca);
            }
            Some((Database::Postgres(server), beside.connections))
        }
        #[cfg(feature = "mysql")]
        Database::MySql(mut server) => {
            let beside = Beside::read(app, &address, server.is_encrypted(), folder, checker);
            if let Some(user) = beside.user {
                *server = server.user(&user);
            }
            if let Some(password) = beside.password {
                *server = server.password(&password);
            }
            if let Some(ca) = beside.ca {
                *server = server.authorities(ca);
            }
            Some((Database::MySql(server), beside.connections))
        }
        database => {
            refuse_keys(app, checker);
            Some((database, None))
        }
    }
}

fn is_postgres(database: &Database) -> bool {
    #[cfg(feature = "postgres")]
    return matches!(database, Database::Postgres(_));
    #[cfg(not(feature = "postgres"))]
    false
}

/// What stands beside the address of a server.
#[cfg(any(feature = "mysql", feature = "postgres"))]
struct Beside {
    user: Option<String>,
    password: Option<String>,
    ca: Option<std::path::PathBuf>,
    connections: Option<usize>,
}

#[cfg(any(feature = "mysql", feature = "postgres"))]
impl Beside {
    fn read(
        app: &file::App,
        address: &str,
        is_encrypted: bool,
        folder: &Path,
        checker: &mut Checker<'_>,
    ) -> Self {
        check_login(app, address, checker);
        if let Some(ca) = app.ca.as_ref().filter(|_| !is_encrypted) {
            let help = "write ?sslmode=require at the end of the address, or leave it out".into();
            let message = "ca is for encrypted connections, and this one is plain";
            checker.find(ca.span(), message, Some(help));
        }
        if let Some(connections) = &app.connections
            && !(1..=CONNECTIONS_MAX).contains(connections.get_ref())
        {
            let message = format!("connections go from 1 to {CONNECTIONS_MAX}");
            checker.find(connections.span(), message, None);
        }
        let (password, file) = (app.password.as_ref(), app.password_file.as_ref());
        Self {
            user: app
                .username
                .as_ref()
                .and_then(|user| login::expand(user, checker)),
            password: login::password(password, file, folder, checker),
            ca: app
                .ca
                .as_ref()
                .and_then(|ca| login::readable(ca, folder, checker)),
            connections: app.connections.as_ref().map(|number| *number.get_ref()),
        }
    }
}

/// Finds what says twice who we are.
#[cfg(any(feature = "mysql", feature = "postgres"))]
fn check_login(app: &file::App, address: &str, checker: &mut Checker<'_>) {
    let rest = address.split_once("://").map_or("", |(_, rest)| rest);
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let (user, password) = match host.rsplit_once('@') {
        Some((login, _)) => (true, login.contains(':')),
        None => (false, false),
    };
    for (key, span) in keys(app) {
        let named = match key {
            "username" if user => "a user",
            "password" | "password_file" if password => "a password",
            _ => continue,
        };
        let message = format!("{key} is given, and the address names {named} too");
        let help = "leave it out of the address: it stands better here";
        checker.find(span, message, Some(help.into()));
    }
}

/// A file knows neither users nor connections: whoever may open it may use it.
fn refuse_keys(app: &file::App, checker: &mut Checker<'_>) {
    for (key, span) in keys(app) {
        let message = format!("{key} is for a database on a server, and this one is a file");
        let help = "leave it out, or write database = \"postgres://…\" or \"mysql://…\"";
        checker.find(span, message, Some(help.into()));
    }
}

/// The keys beside the address that are there, and where.
fn keys(app: &file::App) -> impl Iterator<Item = (&'static str, Range<usize>)> {
    fn span<T>(value: &Option<Spanned<T>>) -> Option<Range<usize>> {
        value.as_ref().map(Spanned::span)
    }
    [
        ("username", span(&app.username)),
        ("password", span(&app.password)),
        ("password_file", span(&app.password_file)),
        ("ca", span(&app.ca)),
        ("connections", span(&app.connections)),
    ]
    .into_iter()
    .filter_map(|(key, span)| Some((key, span?)))
}
