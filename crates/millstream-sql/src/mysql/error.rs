//! What the server's error numbers mean.

use mysql_async::{DriverError, ServerError};

use millstream_core::error::{Error, ErrorKind};

use crate::encryption::{NOT_OFFERED, advice};

/// The number of an error that says that another row has this unique value.
pub(super) const DUPLICATE_ENTRY: u16 = 1062;

/// The number of an error that a trigger raises with a text of its own.
const SIGNALLED: u16 = 1644;

/// Judges an error by its number. `doing` says what was being done.
///
/// The server likes to quote values; what is kept of its message never holds one.
pub fn from_mysql(error: mysql_async::Error, doing: impl Into<String>) -> Error {
    let doing = doing.into();
    match error {
        mysql_async::Error::Server(error) => {
            let text = format!("{doing}: {}", told(&error));
            Error::new(kind(&error), text)
        }
        mysql_async::Error::Driver(DriverError::FromValue { .. } | DriverError::FromRow { .. }) => {
            Error::new(
                ErrorKind::Misconfigured,
                format!("{doing}: a column is not of the type that it should be"),
            )
        }
        mysql_async::Error::Driver(
            error @ (DriverError::StmtParamsMismatch { .. }
            | DriverError::StmtParamsNumberExceedsLimit { .. }
            | DriverError::MixedParams
            | DriverError::NestedTransaction),
        ) => Error::with_source(ErrorKind::Misconfigured, doing, error),
        mysql_async::Error::Driver(DriverError::Params(_)) => Error::new(
            ErrorKind::Invalid,
            format!("{doing}: the row is larger than what the server takes (max_allowed_packet)"),
        ),
        mysql_async::Error::Url(error) => {
            Error::with_source(ErrorKind::Misconfigured, doing, error)
        }
        mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer) => {
            Error::new(ErrorKind::Misconfigured, format!("{doing}: {NOT_OFFERED}"))
        }
        error => match advice(&error) {
            Some(advice) => Error::with_source(
                ErrorKind::Misconfigured,
                format!("{doing}: {advice}"),
                error,
            ),
            None => Error::with_source(ErrorKind::Unavailable, doing, error),
        },
    }
}

/// The number of the server's error, if it is one.
pub(super) fn number(error: &mysql_async::Error) -> Option<u16> {
    match error {
        mysql_async::Error::Server(error) => Some(error.code),
        _ => None,
    }
}

/// What to do after it.
///
/// A deadlock, a lock that takes too long and a row that changed under a snapshot say nothing about the
/// event at hand, as little as a full disk does.
fn kind(error: &ServerError) -> ErrorKind {
    match error.code {
        // Too many connections, shutting down, killed, disk or table full, lock time-outs, deadlocks,
        // snapshots that are too old, read-only replicas, a query that took too long.
        1020
        | 1021
        | 1037
        | 1038
        | 1040
        | 1041
        | 1053
        | 1077
        | 1080
        | 1114
        | 1129
        | 1135
        | 1152
        | 1154..=1161
        | 1184
        | 1203
        | 1205
        | 1206
        | 1213
        | 1226
        | 1290
        | 1317
        | 1614
        | 1637
        | 1792
        | 1836
        | 1927
        | 1969
        | 3024
        | 3572
        | 4031
        | 4166 => ErrorKind::Unavailable,
        // Unique values, foreign keys.
        1022 | DUPLICATE_ENTRY | 1169 | 1216 | 1217 | 1451 | 1452 | 1557 | 1586 | 1761 | 1762 => {
            ErrorKind::Conflict
        }
        // A value that does not fit: null, too long, out of range, of another type, against a check, or of
        // no partition.
        1048 | 1118 | 1153 | 1230 | 1264 | 1265 | 1292 | 1300 | 1364 | 1365 | 1366 | 1367
        | 1406 | 1411 | 1416 | 1425 | 1426 | 1441 | 1525 | 1526 | SIGNALLED | 1690 | 1748
        | 3140 | 3141 | 3155 | 3156 | 3819 | 3854 | 3903 | 4025 | 4078 | 4079 => ErrorKind::Invalid,
        _ if error.state.starts_with("08") => ErrorKind::Unavailable,
        _ if error.state.starts_with("40") => ErrorKind::Unavailable,
        _ if error.state.starts_with("22") || error.state == "45000" => ErrorKind::Invalid,
        _ => ErrorKind::Misconfigured,
    }
}

/// What may be shown of the message.
fn told(error: &ServerError) -> String {
    let ServerError {
        code,
        message,
        state,
    } = error;
    let behind = |word: &str| {
        let (_, place) = message.rsplit_once(word)?;
        let place = place.split(" at row ").next()?;
        (!place.contains('\n')).then(|| place.trim().to_owned())
    };
    let number = format!("error {code} ({state})");
    match *code {
        DUPLICATE_ENTRY | 1022 | 1169 | 1586 => match behind(" for key ") {
            Some(key) => format!("another row has this value of the unique key {key}"),
            None => format!("another row has this unique value, {number}"),
        },
        1264 | 1265 | 1406 => match behind(" for column ").or_else(|| behind(" column ")) {
            Some(column) => format!("the value does not fit column {column}, {number}"),
            None => format!("a value does not fit its column, {number}"),
        },
        1292 | 1366 | 1411 | 1690 | 4078 | 1300 => match behind(" for column ") {
            Some(column) => format!("column {column} does not take the value, {number}"),
            None => format!("a column does not take its value, {number}"),
        },
        1526 | 1748 => format!("no partition of the table takes the row, {number}"),
        // A trigger's own words may hold a value; ours begin with our names.
        SIGNALLED if message.starts_with("outbox: ") || message.starts_with("millstream: ") => {
            format!("{message}, {number}")
        }
        SIGNALLED => format!("a trigger or a routine refuses it, {number}"),
        // Messages of these name tables, columns, constraints, rights and settings, or were written by
        // whoever made the trigger.
        1020
        | 1040..=1049
        | 1054
        | 1064
        | 1130..=1132
        | 1142..=1148
        | 1205
        | 1213
        | 1216
        | 1217
        | 1227
        | 1290
        | 1305
        | 1364
        | 1370
        | 1399
        | 1449
        | 1451
        | 1452
        | 3819
        | 4025 => format!("{message}, {number}"),
        _ => number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: u16, state: &str, message: &str) -> mysql_async::Error {
        mysql_async::Error::Server(ServerError {
            code,
            message: message.into(),
            state: state.into(),
        })
    }

    #[track_caller]
    fn check(code: u16, state: &str, message: &str, kind: ErrorKind, text: &str) {
        let error = from_mysql(error(code, state, message), "write to people");
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(error.to_string(), format!("write to people: {text}"));
    }

    #[test]
    fn a_server_that_is_away_or_busy_is_unavailable() {
        use ErrorKind::Unavailable;
        let locked = "Lock wait timeout exceeded; try restarting transaction";
        let shown = format!("{locked}, error 1205 (HY000)");
        check(1205, "HY000", locked, Unavailable, &shown);
        let deadlock = "Deadlock found when trying to get lock; try restarting transaction";
        let shown = format!("{deadlock}, error 1213 (40001)");
        check(1213, "40001", deadlock, Unavailable, &shown);
        check(
            1053,
            "08S01",
            "Server shutdown in progress",
            Unavailable,
            "error 1053 (08S01)",
        );
        check(
            1114,
            "HY000",
            "The table 'people' is full",
            Unavailable,
            "error 1114 (HY000)",
        );
        let away = mysql_async::Error::Driver(DriverError::ConnectionClosed);
        assert_eq!(from_mysql(away, "x").kind(), Unavailable);
    }

    #[test]
    fn unique_values_and_foreign_keys_conflict() {
        check(
            1062,
            "23000",
            "Duplicate entry 'hunter2 for key x' for key 'by_email'",
            ErrorKind::Conflict,
            "another row has this value of the unique key 'by_email'",
        );
        let missing = "Cannot add or update a child row: a foreign key constraint fails (`d`.`c`)";
        let shown = format!("{missing}, error 1452 (23000)");
        check(1452, "23000", missing, ErrorKind::Conflict, &shown);
    }

    #[test]
    fn what_is_missing_is_misconfigured() {
        use ErrorKind::Misconfigured;
        for (code, state, message) in [
            (1146, "42S02", "Table 'd.people' doesn't exist"),
            (1054, "42S22", "Unknown column 'age' in 'field list'"),
            (
                1142,
                "42000",
                "INSERT command denied to user 'hr'@'%' for table 'people'",
            ),
            (
                1045,
                "28000",
                "Access denied for user 'hr'@'%' (using password: YES)",
            ),
        ] {
            let shown = format!("{message}, error {code} ({state})");
            check(code, state, message, Misconfigured, &shown);
        }
    }

    #[test]
    fn a_value_that_does_not_fit_is_invalid_and_not_shown() {
        use ErrorKind::Invalid;
        check(
            1366,
            "22007",
            "Incorrect integer value: 'hunter2' for column `d`.`people`.`age` at row 1",
            Invalid,
            "column `d`.`people`.`age` does not take the value, error 1366 (22007)",
        );
        check(
            1406,
            "22001",
            "Data too long for column 'name' at row 7",
            Invalid,
            "the value does not fit column 'name', error 1406 (22001)",
        );
        check(
            1292,
            "22007",
            "Incorrect datetime value: 'hunter2' for column `d`.`people`.`since` at row 1",
            Invalid,
            "column `d`.`people`.`since` does not take the value, error 1292 (22007)",
        );
        check(
            1048,
            "23000",
            "Column 'name' cannot be null",
            Invalid,
            "Column 'name' cannot be null, error 1048 (23000)",
        );
        check(
            4025,
            "23000",
            "CONSTRAINT `c` failed for `d`.`t`",
            Invalid,
            "CONSTRAINT `c` failed for `d`.`t`, error 4025 (23000)",
        );
    }
}
