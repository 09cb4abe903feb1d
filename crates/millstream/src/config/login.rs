//! Who we are on a server, and whom we believe: what stands beside a URL.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;

use crate::config::check::Checker;
use crate::config::secret::Secret;

/// What stands in for a secret in advice.
const SECRET: &str = "…";

/// The password, which is written down or in a file of its own.
pub(super) fn password(
    password: Option<&Spanned<Secret>>,
    file: Option<&Spanned<String>>,
    folder: &Path,
    checker: &mut Checker<'_>,
) -> Option<String> {
    match (password, file) {
        (Some(password), None) => secret(password, checker),
        (None, Some(file)) => secret_file(file, folder, checker),
        (None, None) => None,
        (Some(_), Some(file)) => {
            checker.find(file.span(), "the password is given twice", None);
            None
        }
    }
}

pub(super) fn expand(text: &Spanned<String>, checker: &mut Checker<'_>) -> Option<String> {
    checker.expand(text.span(), text.get_ref(), SECRET)
}

pub(super) fn secret(text: &Spanned<Secret>, checker: &mut Checker<'_>) -> Option<String> {
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
pub(super) fn readable(
    text: &Spanned<String>,
    folder: &Path,
    checker: &mut Checker<'_>,
) -> Option<PathBuf> {
    let path = folder.join(text.get_ref());
    let read =
        fs::File::open(&path).map_err(|error| format!("cannot read {}: {error}", path.display()));
    checker.take(text.span(), read)?;
    Some(path)
}
