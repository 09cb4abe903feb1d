use millstream_core::event::Json;

/// Each would do something where texts are put together into a statement, or is no text to some.
pub(super) fn corpus() -> Vec<String> {
    let mut corpus: Vec<String> = [
        "'",
        "''",
        "\"",
        "`",
        "´’‘“”＇",
        "\\",
        "\\'",
        "'\\",
        "\\\\'",
        "\u{bf}'",
        "'; DROP TABLE canary; --",
        "\"; DROP TABLE canary; --",
        "`; DROP TABLE canary; -- ",
        "\\'; DROP TABLE canary; #",
        "'); DELETE FROM canary; --",
        "', 'x'); INSERT INTO canary VALUES (3, 'x'); --",
        "' OR '1'='1",
        "1; UPDATE canary SET word = 'eaten'",
        "' UNION SELECT word FROM canary --",
        "'||(SELECT word FROM canary)||'",
        "(SELECT word FROM canary)",
        "\u{0}",
        "a\u{0}'; DROP TABLE canary; --",
        "--",
        "-- \n",
        "/*",
        "*/",
        "/*! DROP TABLE canary */",
        "#",
        ";",
        "$1",
        "$$; DROP TABLE canary; $$",
        "?",
        "?1",
        ":id",
        "@id",
        "~outbox",
        "{}",
        "{0}",
        "{bin}",
        "%s",
        "%n",
        "%",
        "_",
        "E'\\x27'",
        "x'27'",
        "U&'\\0027'",
        "NULL",
        "null",
        "DEFAULT",
        "\u{202e}elbat\u{202c}",
        "a\u{300}\u{301}\u{302}\u{303}",
        "\u{feff}",
        "\u{fffd}\u{ffff}\u{10ffff}",
        "\r\n\t\u{8}\u{1a}\u{1b}\u{7f}",
        " ",
        "\\u0027",
        "\\N",
    ]
    .map(Into::into)
    .into();
    corpus.push("'\\\"`".repeat(64 * 1024 / 4));
    corpus.push("'".repeat(255));
    corpus
}

/// A text as a string of JSON.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c < ' ' => quoted.extend(format!("\\u{:04x}", u32::from(c)).chars()),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Halves of pairs, which are no characters.
pub(super) const LONE: [&str; 4] = [
    r#"{"name":"\ud800"}"#,
    r#"{"name":"\udc00'; DROP TABLE canary; --"}"#,
    r#"{"\udfff":"\ud800\u0027"}"#,
    r#"{"name":"\ud83e\udd80\ud83e"}"#,
];

/// An object with one member, if it is not too much.
pub(super) fn object(name: &str, value: &str) -> Option<Json> {
    Json::parse(format!("{{{}:{}}}", quoted(name), quoted(value))).ok()
}
