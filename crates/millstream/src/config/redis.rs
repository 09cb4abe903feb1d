//! What stands beside the URL of a Redis: who we are there, and whom we believe.

use std::ops::Range;
use std::path::Path;

use millstream_transport::redis::Options;

use crate::config::check::Checker;
use crate::config::file;
use crate::config::login::{self, expand, readable, secret};
use crate::config::reach::keys;
use crate::config::transport::Transport;

/// Puts what stands beside the URL into its place.
pub(super) fn read(
    mut options: Options,
    url: &str,
    section: file::Transport,
    folder: &Path,
    checker: &mut Checker<'_>,
) -> Option<Transport> {
    check_keys(url, &section, checker);
    let password = login::password(
        section.password.as_ref(),
        section.password_file.as_ref(),
        folder,
        checker,
    );
    if let Some(password) = password {
        options = options.password(password);
    }
    if let Some(user) = &section.username {
        options = options.user(expand(user, checker)?);
    }
    if let Some(password) = section.sentinel_password {
        let user = section.sentinel_username.as_ref();
        let user = user.and_then(|user| expand(user, checker));
        options = options.sentinel_credentials(user, secret(&password, checker)?);
    }
    if let Some(ca) = &section.ca {
        options = options.authorities(readable(ca, folder, checker)?);
    }
    if let (Some(certificate), Some(key)) = (&section.certificate, &section.key) {
        let certificate = readable(certificate, folder, checker)?;
        options = options.certificate(certificate, readable(key, folder, checker)?);
    }
    Some(Transport::Redis(Box::new(options)))
}

/// Finds keys that have no meaning for this URL, or need another one.
fn check_keys(url: &str, section: &file::Transport, checker: &mut Checker<'_>) {
    let (scheme, rest) = url.split_once("://").unwrap_or((url, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let has_login = rest
        .split('/')
        .next()
        .is_some_and(|hosts| hosts.contains('@'));
    let mut find = |span: Range<usize>, message: String, help: &str| {
        checker.find(span, message, Some(help.into()));
    };
    for (key, span) in keys(section) {
        match key {
            "username" | "password" | "password_file" if has_login => {
                find(
                    span,
                    format!("{key} is given, and the URL names a user or a password too"),
                    "leave it out of the URL: user and password stand better here",
                );
            }
            "ca" | "certificate" | "key" if scheme == "redis+unix" => {
                find(
                    span,
                    format!("{key} is for encrypted connections, and a socket is not"),
                    "leave it out",
                );
            }
            "ca" | "certificate" | "key" if !scheme.starts_with("rediss") => {
                find(
                    span,
                    format!("{key} is for encrypted connections"),
                    "write rediss instead of redis at the beginning of the URL",
                );
            }
            "sentinel_username" | "sentinel_password" if !scheme.ends_with("+sentinel") => {
                find(
                    span,
                    format!("{key} is for redis+sentinel://"),
                    "leave it out",
                );
            }
            "username" if section.password.is_none() && section.password_file.is_none() => {
                find(
                    span,
                    "username needs a password".into(),
                    "write password = \"${REDIS_PASSWORD}\" or password_file = \"FILE\"",
                );
            }
            "sentinel_username" if section.sentinel_password.is_none() => {
                find(
                    span,
                    "sentinel_username needs a password".into(),
                    "write sentinel_password = \"${SENTINEL_PASSWORD}\"",
                );
            }
            "certificate" if section.key.is_none() => {
                find(
                    span,
                    "certificate needs its key".into(),
                    "write key = \"FILE\"",
                );
            }
            "key" if section.certificate.is_none() => {
                find(
                    span,
                    "key needs its certificate".into(),
                    "write certificate = \"FILE\"",
                );
            }
            _ => {}
        }
    }
    let named = |pair: &str| pair.split('=').next().map(str::to_owned);
    for name in query.split('&').filter_map(named) {
        if matches!(name.as_str(), "ca" | "certificate" | "key") {
            find(
                section.url.span(),
                format!("{name} is a file, which would not be looked for beside this one"),
                "take it out of the URL and write it as a key of [transport]",
            );
        }
    }
}
