//! What others wrote, made harmless for terminals.

use std::borrow::Cow;
use std::fmt::Write;

/// Writes control characters as Rust does, such as `\\n` and `\\u{1b}`, so that they neither steer a
/// terminal nor end a line.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if c.is_control() {
            escaped.extend(c.escape_debug());
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// Writes control characters as JSON does, in a text that is JSON already.
///
/// JSON itself asks for that below U+0020 only, but U+007F to U+009F steer terminals too. Line ends
/// stay: serde leaves them between values only.
pub(crate) fn escape_json(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| c.is_control() && c != '\n';
    if !text.chars().any(harmful) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if harmful(c) {
            write!(escaped, "\\u{:04x}", u32::from(c)).expect("a string takes everything");
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_control_characters_change() {
        for text in ["", "user.created", "Ünïcode \"7\" \\ →", "e\u{301}"] {
            assert_eq!(escape(text), text);
            assert_eq!(escape_json(text), text);
        }
        assert_eq!(
            escape("a\u{1b}[2J\n\r\t\u{7f}\u{9b}\0"),
            r"a\u{1b}[2J\n\r\t\u{7f}\u{9b}\0"
        );
    }

    #[test]
    fn json_means_the_same() {
        let value = serde_json::json!({ "a\u{9b}": ["\u{7f}\u{85}\u{1b}\n"] });
        for text in [
            serde_json::to_string(&value).unwrap(),
            serde_json::to_string_pretty(&value).unwrap(),
        ] {
            let escaped = escape_json(&text);
            assert!(escaped.chars().all(|c| c == '\n' || !c.is_control()));
            let read: serde_json::Value = serde_json::from_str(&escaped).unwrap();
            assert_eq!(read, value);
        }
    }
}
