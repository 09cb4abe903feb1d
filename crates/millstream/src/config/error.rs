use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use crate::config::secret::{hide_secrets, hide_value};

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
    let text = &match message.starts_with("unknown field") {
        true => hide_secrets(&hide_value(text, span.end)),
        false => hide_secrets(text),
    };
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
