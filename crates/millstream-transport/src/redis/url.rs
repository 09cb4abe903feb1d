//! Reads URLs. By hand: one with several hosts is none for common parsers.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use millstream_core::error::{Error, ErrorKind};

use super::address::Address;
use super::options::{Options, Protocol, Servers, Tls};

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// Sentinels or seeds that one URL may name.
const ADDRESSES_MAX: usize = 64;

pub(super) fn parse(url: &str) -> Result<Options, Error> {
    let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong("has no ://"))?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, hosts) = match authority.rsplit_once('@') {
        Some((login, hosts)) => (Some(login), hosts),
        None => (None, authority),
    };
    let (name, encrypted) = match scheme.strip_prefix("rediss") {
        Some(rest) => (rest, true),
        None => match scheme.strip_prefix("redis") {
            Some(rest) => (rest, false),
            None => return Err(unknown_scheme()),
        },
    };
    let tls = encrypted.then(Tls::default);
    let (servers, database) = match name {
        "" => {
            let address = Address::parse(&decoded(hosts)?, PORT)
                .ok_or_else(|| wrong("does not name one host, or its port is not a number"))?;
            (Servers::Single(address), path)
        }
        "+unix" if !encrypted && hosts.is_empty() => {
            let path = PathBuf::from(format!("/{}", decoded(path)?));
            (Servers::Single(Address::Unix(path)), "")
        }
        "+sentinel" => {
            let (master, database) = path.split_once('/').unwrap_or((path, ""));
            if master.is_empty() {
                return Err(wrong("names no master, as in …/mymaster"));
            }
            let servers = Servers::Sentinel {
                sentinels: addresses(hosts, SENTINEL_PORT)?,
                master: decoded(master)?,
            };
            (servers, database)
        }
        "+cluster" => (Servers::Cluster(addresses(hosts, PORT)?), path),
        _ => return Err(unknown_scheme()),
    };
    let mut options = Options::new(servers, tls);
    if let Some(login) = login {
        options = with_login(options, login)?;
    }
    if !database.is_empty() {
        options = options.database(number(database)?);
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        options = with_parameter(options, pair)?;
    }
    check(options)
}

fn with_login(options: Options, login: &str) -> Result<Options, Error> {
    let (user, password) = match login.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (login, None),
    };
    let options = match user {
        "" => options,
        user => options.user(decoded(user)?),
    };
    Ok(match password {
        Some(password) => options.password(decoded(password)?),
        None => options,
    })
}

fn with_parameter(mut options: Options, pair: &str) -> Result<Options, Error> {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    let value = decoded(value)?;
    match name {
        "protocol" => Ok(options.protocol(match value.as_str() {
            "resp2" => Protocol::Resp2,
            "resp3" => Protocol::Resp3,
            _ => return Err(wrong("has a protocol that is neither resp2 nor resp3")),
        })),
        "db" => Ok(options.database(number(&value)?)),
        "client_name" => Ok(options.client_name(&value)),
        "ca" | "certificate" | "key" => {
            let files = options.tls.as_mut().ok_or_else(|| {
                wrong("names files for encryption, but does not begin with rediss")
            })?;
            let file = match name {
                "ca" => &mut files.authorities,
                "certificate" => &mut files.certificate,
                _ => &mut files.key,
            };
            *file = Some(value.into());
            Ok(options)
        }
        _ => Err(wrong(
            "has an unknown parameter; known are protocol, db, client_name, ca, certificate and key",
        )),
    }
}

/// What no server could make sense of.
fn check(options: Options) -> Result<Options, Error> {
    if options.credentials.user.is_some() && options.credentials.password.is_none() {
        return Err(wrong(
            "names a user without a password, as in user:password@",
        ));
    }
    if matches!(options.servers, Servers::Cluster(_)) && options.database != 0 {
        return Err(wrong("names a database, but a Cluster has only database 0"));
    }
    if let Some(tls) = &options.tls
        && tls.certificate.is_some() != tls.key.is_some()
    {
        return Err(wrong(
            "names a certificate without its key, or a key without its certificate",
        ));
    }
    Ok(options)
}

fn addresses(hosts: &str, port: u16) -> Result<Vec<Address>, Error> {
    let hosts = decoded(hosts)?;
    let parsed: Option<Vec<_>> = hosts
        .split(',')
        .map(|host| Address::parse(host, port))
        .collect();
    match parsed {
        Some(addresses) if addresses.len() <= ADDRESSES_MAX => Ok(addresses),
        Some(_) => Err(wrong("names too many hosts; at most 64 are taken")),
        None => Err(wrong(
            "has a host that is empty, or a port that is not a number",
        )),
    }
}

fn number(text: &str) -> Result<u32, Error> {
    text.parse()
        .map_err(|_| wrong("has a database that is not a number"))
}

fn decoded(text: &str) -> Result<String, Error> {
    let text = percent_decode_str(text).decode_utf8();
    Ok(text.map_err(|_| wrong("is not UTF-8"))?.into_owned())
}

fn unknown_scheme() -> Error {
    wrong(
        "begins with none of redis://, rediss://, redis+unix://, redis+sentinel://, \
         rediss+sentinel://, redis+cluster://, rediss+cluster://",
    )
}

/// Never repeats the URL: a password may stand anywhere in one that is wrong.
fn wrong(what: &str) -> Error {
    Error::new(
        ErrorKind::Misconfigured,
        format!("the URL of the transport {what}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read() {
        for (url, shown) in [
            ("redis://db", "redis://db:6379"),
            ("redis://db:1/3", "redis://db:1/3"),
            ("redis://u:p%40w@[::1]:1", "redis://[::1]:1"),
            ("redis://:pw@db/?db=2&protocol=resp3", "redis://db:6379/2"),
            ("rediss://db?ca=/a.pem", "rediss://db:6379"),
            (
                "redis+unix:///run/r%20.sock?db=1",
                "redis+unix:///run/r .sock",
            ),
            ("redis+unix://u:pw@/run/r.sock", "redis+unix:///run/r.sock"),
            (
                "redis+sentinel://a,b:7/m/4",
                "redis+sentinel://a:26379,b:7/m/4",
            ),
            ("rediss+cluster://a:1,b:2", "rediss+cluster://a:1,b:2"),
        ] {
            assert_eq!(parse(url).unwrap().to_string(), shown);
        }
        let options = parse("redis://u:p%40w:@db?protocol=resp3&client_name=a%20b").unwrap();
        assert_eq!(options.credentials.user.as_deref(), Some("u"));
        assert_eq!(options.credentials.password.unwrap().reveal(), "p@w:");
        assert_eq!(
            (options.protocol, &*options.client_name),
            (Protocol::Resp3, "a-b")
        );
    }

    #[test]
    fn wrong_urls_are_refused_without_being_repeated() {
        for url in [
            "",
            "secret",
            "redis:secret@db",
            "http://u:secret@db",
            "redisx://u:secret@db",
            "redis+other://u:secret@db",
            "rediss+unix://u:secret@/s",
            "redis+unix://u:secret@db/s",
            "redis://u:secret@",
            "redis://u:secret@db:port",
            "redis://u:secret@db/x",
            "redis://u:secret@db?x=secret",
            "redis://u:secret@db?db=secret",
            "redis://u:secret@db?protocol=secret",
            "redis://u:secret@db?ca=secret",
            "redis://secret@db",
            "redis://%ff:secret@db",
            "rediss://u:secret@db?key=secret",
            "redis+sentinel://u:secret@a,b",
            "redis+sentinel://u:secret@a,,b/m",
            "redis+cluster://u:secret@a/1",
        ] {
            let error = parse(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Misconfigured, "{url}");
            let text = error.to_string();
            assert!(!text.contains("secret") && !text.contains('\n'), "{text}");
        }
    }

    #[test]
    fn nothing_shows_the_password() {
        let options = parse("redis://u:secret@db")
            .unwrap()
            .sentinel_credentials(None, "secret");
        assert!(!format!("{options:?} {options}").contains("secret"));
    }
}
