//! Collecting what is wrong, with places, instead of stopping at the first.

use std::env;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;

use crate::config::error::Finding;

/// A file that is being checked, and what was found so far.
pub(super) struct Checker<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
    pub(super) findings: Vec<Finding>,
}

impl Checker<'_> {
    pub(super) fn find(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        self.findings
            .push(Finding::new(self.path, self.text, span, message, help));
    }

    /// Keeps the value, or notes why there is none.
    pub(super) fn take<T, E: std::fmt::Display>(
        &mut self,
        span: Range<usize>,
        result: Result<T, E>,
    ) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.find(span, error.to_string(), None);
                None
            }
        }
    }

    /// As [`take`](Self::take), for an address. One that cannot be read is not shown: it may be a
    /// password.
    pub(super) fn address<T, E: std::fmt::Display>(
        &mut self,
        span: Range<usize>,
        result: Result<T, E>,
    ) -> Option<T> {
        match result {
            Ok(address) => Some(address),
            Err(error) => {
                let hidden = hide(self.text, span.clone());
                let finding = Finding::new(self.path, &hidden, span, error.to_string(), None);
                self.findings.push(finding);
                None
            }
        }
    }

    /// Reads a duration such as `7d` or `500ms`.
    pub(super) fn duration(&mut self, text: &Spanned<String>) -> Option<std::time::Duration> {
        match humantime::parse_duration(text.get_ref()) {
            Ok(duration) if !duration.is_zero() => Some(duration),
            _ => {
                let help = "write a duration such as \"7d\", \"90s\" or \"500ms\"".to_owned();
                self.find(text.span(), "not a duration", Some(help));
                None
            }
        }
    }

    /// Puts environment variables in the place of `${NAME}`. `example` is what one might hold.
    pub(super) fn expand(
        &mut self,
        span: Range<usize>,
        text: &str,
        example: &str,
    ) -> Option<String> {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, after)) = after.split_once('}') else {
                self.find(span, "${ without }", Some("write ${NAME}".into()));
                return None;
            };
            #[expect(
                clippy::disallowed_methods,
                reason = "the file says that it is to be read"
            )]
            let value = env::var(name);
            let Ok(value) = value else {
                let message = format!("the environment variable {name} is not set");
                let help = format!("set it, as in {name}={example}");
                self.find(span, message, Some(help));
                return None;
            };
            expanded.push_str(before);
            expanded.push_str(&value);
            rest = after;
        }
        expanded.push_str(rest);
        Some(expanded)
    }
}

/// The text with `*` for what stands in the span, but for its quotes and a scheme.
fn hide(text: &str, span: Range<usize>) -> String {
    let value = &text[span.clone()];
    let shown = value
        .find(':')
        .map_or(1, |colon| colon + 1)
        .min(value.len());
    let hidden = value.len().saturating_sub(shown + 1);
    let end = span.start + shown + hidden;
    format!(
        "{}{}{}",
        &text[..span.start + shown],
        "*".repeat(hidden),
        &text[end..]
    )
}
