//! What stands beside the URL of a Redis: who we are there, and whom we believe.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;

use millstream_transport::redis::Options;

use crate::config::check::Checker;
use crate::config::file;
use crate::config::reach::keys;
use crate::config::secret::Secret;
use crate::config::transport::Transport;

/// What stands in for a secret in advice.
const SECRET: &str = "…";

/// Puts what stands beside the URL into its place.
pub(super) fn read(
    mut options: Options,
    url: &str,
    section: file::Transport,
    folder: &Path,
    checker: &mut Checker<'_>,
) -> Option<Transport> {
    check_keys(url, &section, checker);
    let file = section.password_file.as_ref();
    let password = match (section.password, file) {
        (Some(password), None) => secret(&password, checker),
        (None, Some(file)) => secret_file(file, folder, checker),
        (None, None) => None,
        (Some(_), Some(file)) => {
            checker.find(file.span(), "the password is given twice", None);
            None
        }
    };
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

fn expand(text: &Spanned<String>, checker: &mut Checker<'_>) -> Option<String> {
    checker.expand(text.span(), text.get_ref(), SECRET)
}

fn secret(text: &Spanned<Secret>, checker: &mut Checker<'_>) -> Option<String> {
    let secret = checker.expand(text.span(), text.get_ref().reveal(), SECRET)?;
    not_empty(text.span(), secret, checker)
}

fn secret_file(text: &Spanned<String>, folder: &Path, checker: &mut Checker<'_>) -> Option<String> {
    let path = readable(text, folder, checker)?;
    // Only where it is no text, or went away meanwhile.
    let secret = fs::read_to_string(&path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()));
    let secret = checker.take(text.span(), secret)?;
    // Editors end the last line.
    let secret = secret.trim_end_matches(['\n', '\r']).to_owned();
    not_empty(text.span(), secret, checker)
}

fn not_empty(span: Range<usize>, secret: String, checker: &mut Checker<'_>) -> Option<String> {
    if secret.is_empty() {
        checker.find(span, "the password is empty", None);
        return None;
    }
    Some(secret)
}

/// A file beside the configuration, if it can be read.
fn readable(text: &Spanned<String>, folder: &Path, checker: &mut Checker<'_>) -> Option<PathBuf> {
    let path = folder.join(text.get_ref());
    let read =
        fs::File::open(&path).map_err(|error| format!("cannot read {}: {error}", path.display()));
    checker.take(text.span(), read)?;
    Some(path)
}
