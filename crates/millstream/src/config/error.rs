use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file says something that cannot be used.
    #[error("{}", Report(.0))]
    Findings(Vec<Finding>),
}

/// Something wrong in the file, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    rendered: String,
}

impl Finding {
    pub(super) fn new(
        path: &Path,
        text: &str,
        span: Range<usize>,
        message: impl Into<String>,
        help: Option<String>,
    ) -> Self {
        let message = message.into();
        let start = span.start.min(text.len());
        let line = text[..start].matches('\n').count() + 1;
        let rendered = render(
            path,
            text,
            start..span.end.clamp(start, text.len()),
            &message,
            help.as_deref(),
        );
        Self {
            path: path.into(),
            line,
            message,
            help,
            rendered,
        }
    }
}

/// The message, the line that it is about, and what to do.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rendered)
    }
}

fn render(
    path: &Path,
    text: &str,
    span: Range<usize>,
    message: &str,
    help: Option<&str>,
) -> String {
    let path = path.display().to_string();
    let text = &without_passwords(text);
    // The whole of a mapping is too much to show; its first line says which one.
    let end = text[span.clone()]
        .find('\n')
        .map_or(span.end, |newline| span.start + newline);
    let snippet = Snippet::source(text)
        .path(&path)
        .annotation(AnnotationKind::Primary.span(span.start..end.max(span.start)));
    let mut group = Level::ERROR.primary_title(message).element(snippet);
    if let Some(help) = help {
        group = group.element(Level::HELP.message(help));
    }
    Renderer::plain().render(&[group])
}

/// The same text, as long as before, with `*` for whoever and whatever stands before the `@` of a URL.
fn without_passwords(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let end = after
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\''))
            .unwrap_or(after.len());
        let hidden = after[..end].rfind('@').unwrap_or(0);
        shown.push_str(&"*".repeat(hidden));
        rest = &after[hidden..];
    }
    shown.push_str(rest);
    shown
}

struct Report<'a>(&'a [Finding]);

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, finding) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n\n")?;
            }
            finding.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_hidden_and_nothing_moves() {
        let check = |text: &str, expected: &str| {
            assert_eq!(without_passwords(text), expected);
            assert_eq!(text.len(), expected.len());
        };
        check(
            "a = \"redis://me:p@ss@host/0\" # b@c",
            "a = \"redis://*******@host/0\" # b@c",
        );
        check("['x://a:b@c', 'y://d:e@f']", "['x://***@c', 'y://***@f']");
        check(
            "url = \"sqlite://a/b.db\"\nmail = \"a@b\"",
            "url = \"sqlite://a/b.db\"\nmail = \"a@b\"",
        );
    }
}
