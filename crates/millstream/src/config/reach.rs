//! `[transport]`: where events travel, who we are there, and whom we believe.

use std::ops::Range;
use std::path::Path;

use toml::Spanned;

use crate::config::check::Checker;
use crate::config::file;
#[cfg(feature = "redis")]
use crate::config::redis;
use crate::config::transport::Transport;

pub(super) fn read(
    section: file::Transport,
    folder: &Path,
    checker: &mut Checker<'_>,
) -> Option<Transport> {
    let span = section.url.span();
    let url = checker.expand(
        span.clone(),
        section.url.get_ref(),
        "redis://127.0.0.1:6379",
    )?;
    let transport = checker.address(span, Transport::parse(&url))?;
    match transport.relative_to(folder) {
        #[cfg(feature = "redis")]
        Transport::Redis(options) => redis::read(*options, &url, section, folder, checker),
        transport => {
            refuse_keys(&section, checker);
            Some(transport)
        }
    }
}

/// An embedded log is a file: whoever may open it may use it.
fn refuse_keys(section: &file::Transport, checker: &mut Checker<'_>) {
    for (key, span) in keys(section) {
        let message = format!("{key} is for Redis, and the transport is a file");
        checker.find(
            span,
            message,
            Some("leave it out, or write url = \"redis://…\"".into()),
        );
    }
}

/// The keys besides the URL that are there, and where.
pub(super) fn keys(
    section: &file::Transport,
) -> impl Iterator<Item = (&'static str, Range<usize>)> {
    fn span<T>(value: &Option<Spanned<T>>) -> Option<Range<usize>> {
        value.as_ref().map(Spanned::span)
    }
    [
        ("username", span(&section.username)),
        ("password", span(&section.password)),
        ("password_file", span(&section.password_file)),
        ("sentinel_username", span(&section.sentinel_username)),
        ("sentinel_password", span(&section.sentinel_password)),
        ("ca", span(&section.ca)),
        ("certificate", span(&section.certificate)),
        ("key", span(&section.key)),
    ]
    .into_iter()
    .filter_map(|(key, span)| Some((key, span?)))
}
