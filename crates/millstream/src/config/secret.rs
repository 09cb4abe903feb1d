use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// A text of the file that must not be shown, not even where it is in the wrong place.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(String);

#[cfg(any(feature = "mysql", feature = "postgres", feature = "redis"))]
impl Secret {
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Text)
    }
}

/// Takes a text, and says about anything else only what it is.
struct Text;

impl<'de> Visitor<'de> for Text {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text in quotes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Secret, E> {
        Ok(Secret(text.into()))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Secret, E> {
        Err(E::invalid_type(Unexpected::Other("true or false"), &self))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Secret, E> {
        Err(E::invalid_type(Unexpected::Other("a number"), &self))
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<Secret, E> {
        Err(E::invalid_type(Unexpected::Other("a number"), &self))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Secret, E> {
        Err(E::invalid_type(Unexpected::Other("a number"), &self))
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<Secret, E> {
        Err(E::invalid_type(Unexpected::Other("a number"), &self))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Secret, E> {
        Err(E::invalid_type(Unexpected::Other("a number"), &self))
    }
}

/// The same text, as long as before, with `*` for what is secret: whoever and whatever stands before
/// the `@` of a URL, and the value of a key whose name ends in `password`.
pub(super) fn hide_secrets(text: &str) -> String {
    hide_passwords(&hide_logins(text))
}

fn hide_logins(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let end = url_length(before, after);
        let hidden = after[..end].rfind('@').unwrap_or(0);
        shown.push_str(&"*".repeat(hidden));
        rest = &after[hidden..];
    }
    shown.push_str(rest);
    shown
}

/// How far a URL goes: up to the end of the text that it begins, or up to a blank or a quote.
fn url_length(before: &str, after: &str) -> usize {
    let is_of_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let opening = before.trim_end_matches(is_of_scheme).chars().next_back();
    let line = after.find(['\n', '\r']).unwrap_or(after.len());
    match opening.filter(|c| matches!(c, '"' | '\'')) {
        Some(quote) => after[..line].find(quote).unwrap_or(line),
        None => after
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\''))
            .unwrap_or(after.len()),
    }
}

/// The same text with `*` for the value of the key that ends there: nobody knows what it is.
pub(super) fn hide_value(text: &str, key_end: usize) -> String {
    let (before, after) = text.split_at(key_end);
    let value = after.trim_start_matches(['"', '\'', ' ', '\t']);
    let Some(value) = value.strip_prefix('=') else {
        return text.to_owned();
    };
    let value = value.trim_start_matches([' ', '\t']);
    let (hidden, rest) = value.split_at(value_length(value));
    let stars = hidden
        .bytes()
        .map(|byte| if byte == b'\n' { '\n' } else { '*' });
    let between = &after[..after.len() - value.len()];
    format!("{before}{between}{}{rest}", stars.collect::<String>())
}

fn hide_passwords(text: &str) -> String {
    const KEY: &str = "password";

    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(found) = rest.find(KEY) {
        let (key, after) = rest.split_at(found + KEY.len());
        shown.push_str(key);
        let blank = |c: char| matches!(c, ' ' | '\t' | '"' | '\'');
        let value = after.trim_start_matches(blank).strip_prefix('=');
        let Some(value) = value.map(|value| value.trim_start_matches([' ', '\t'])) else {
            // Without the sign between them it is no TOML, and will be shown.
            let line = shown.rsplit(['\n', '\r']).next().unwrap_or_default();
            let end = after.find(['\n', '\r']).unwrap_or(after.len());
            let is_key = line
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_- \t\"'".contains(c));
            if is_key && after[..end].trim_start().starts_with(['"', '\'']) {
                shown.push_str(&"*".repeat(end));
                rest = &after[end..];
            } else {
                rest = after;
            }
            continue;
        };
        shown.push_str(&after[..after.len() - value.len()]);
        let length = value_length(value);
        let (hidden, after) = value.split_at(length);
        // A name of the environment tells nothing, and what it is about.
        let named = hidden.trim_matches(['"', '\'']);
        if named.starts_with("${") && named.find('}') == Some(named.len() - 1) {
            shown.push_str(hidden);
        } else {
            shown.extend(
                hidden
                    .bytes()
                    .map(|byte| if byte == b'\n' { '\n' } else { '*' }),
            );
        }
        rest = after;
    }
    shown.push_str(rest);
    shown
}

/// Bytes of a value of TOML, quotes included; up to the end of the line where it is none.
fn value_length(value: &str) -> usize {
    let line = value.find(['\n', '\r']).unwrap_or(value.len());
    for quotes in ["\"\"\"", "'''"] {
        if let Some(inner) = value.strip_prefix(quotes) {
            return inner
                .find(quotes)
                .map_or(value.len(), |end| end + 2 * quotes.len());
        }
    }
    match value.chars().next() {
        Some('\'') => value[1..line].find('\'').map_or(line, |end| end + 2),
        Some('"') => {
            let mut escaped = false;
            let end = value[1..line].find(|c| {
                let closes = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                closes
            });
            end.map_or(line, |end| end + 2)
        }
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let shown = hide_secrets(text);
        assert_eq!(shown, expected);
        assert_eq!(shown.len(), text.len());
    }

    #[test]
    fn logins_are_hidden_and_nothing_moves() {
        check(
            "a = \"redis://me:p@ss@host/0\" # b@c",
            "a = \"redis://*******@host/0\" # b@c",
        );
        check("['x://a:b@c', 'y://d:e@f']", "['x://***@c', 'y://***@f']");
        check(
            "a = \"postgres://crm:it's hunter2@c\"",
            "a = \"postgres://****************@c\"",
        );
        check(
            "url = \"sqlite://a/b.db\"\nmail = \"a@b\"",
            "url = \"sqlite://a/b.db\"\nmail = \"a@b\"",
        );
    }

    #[test]
    fn passwords_are_hidden_and_nothing_moves() {
        check("password = \"secret\" 7", "password = ******** 7");
        check(
            "password='sec\"ret'\nca = 'a'",
            "password=*********\nca = 'a'",
        );
        check(
            "t = { \"password\" = \"se\\\"cret\", ca = \"a\" }",
            "t = { \"password\" = **********, ca = \"a\" }",
        );
        check(
            "sentinel_password = 4815 # x\ny",
            "sentinel_password = ********\ny",
        );
        check(
            "password = \"secret\nca = 'a'",
            "password = *******\nca = 'a'",
        );
        check(
            "password = \"\"\"se\n\"cret\"\"\" x",
            "password = *****\n******** x",
        );
        check("password = '''secret", "password = *********");
        check("password \"secret\" # x\ny", "password*************\ny");
        check("password = \"geheimnüß\"", "password = *************");
    }

    #[test]
    fn the_value_of_a_key_that_nobody_knows_is_hidden() {
        let text = "pasword = \"hunter2\" # x\ny = 1";
        assert_eq!(hide_value(text, 7), "pasword = ********* # x\ny = 1");
        assert_eq!(hide_value("[table]\n", 6), "[table]\n");
    }

    #[test]
    fn what_is_no_password_is_shown() {
        for text in [
            "password = \"${REDIS_PASSWORD}\"",
            "password_file = \"secret\"",
            "# a password goes here",
            "password",
            "password =",
        ] {
            check(text, text);
        }
        check(
            "password = \"${A}secret${B}\"",
            "password = ****************",
        );
    }
}
