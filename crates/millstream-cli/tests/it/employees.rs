//! The main job on a history that nobody tuned for it: ten thousand careers, 133,737 events.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use millstream::rusqlite::{Connection, OpenFlags};

/// How long it may take on two cores; checked where the program is built as people run it.
const TIME_MAX: Duration = Duration::from_secs(60);

const EVENTS: u64 = 133_737;

const HEADER: &str = "tenant_id,entity_id,first_name,last_name,hire_date,title,salary,departments";

#[test]
fn the_employees_history_ends_in_the_expected_bytes() {
    let folder = shared().join("data/employees");
    let events = folder.join("events.ndjson.gz");
    if !events.exists() {
        println!(
            "skipped: there is no {}; MILLSTREAM_SHARED names its folder",
            events.display()
        );
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("demo");

    let started = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_millstream"))
        .args(["demo", "--events"])
        .arg(&events)
        .arg("--dir")
        .arg(&dir)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let took = started.elapsed();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}{}",
        said(&output.stdout),
        said(&output.stderr)
    );
    println!("{:.1} s\n{}", took.as_secs_f64(), said(&output.stdout));
    if !cfg!(debug_assertions) {
        assert!(took < TIME_MAX, "it took {took:?}");
    }

    let expected = fs::read_to_string(folder.join("expected.csv")).unwrap();
    let found = export(&open(&dir.join("hr.db")));
    if let Some((line, (found, expected))) = (1..)
        .zip(found.lines().zip(expected.lines()))
        .find(|(_, (found, expected))| found != expected)
    {
        panic!("line {line}: expected {expected}, found {found}");
    }
    assert!(found == expected, "another number of lines, or another end");

    let published = ids(
        &open(&dir.join("crm.db")),
        "SELECT event_id FROM outbox ORDER BY event_id",
    );
    assert_eq!(published.len() as u64, EVENTS);
    for application in ["hr", "affiliate", "system"] {
        let db = open(&dir.join(format!("{application}.db")));
        let processed = "SELECT event_id FROM event_tracking WHERE status = 'processed' \
                         ORDER BY event_id";
        assert!(
            ids(&db, processed) == published,
            "{application} tracks other events"
        );
        let all: i64 = db
            .query_row("SELECT count(*) FROM event_tracking", [], |row| row.get(0))
            .unwrap();
        assert_eq!(all.unsigned_abs(), EVENTS, "{application}");
    }
}

/// The team's folder of data: beside the workspace, unless the environment names it.
fn shared() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    std::env::var_os("MILLSTREAM_SHARED").map_or(beside, PathBuf::from)
}

fn open(path: &Path) -> Connection {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

fn ids(db: &Connection, sql: &str) -> Vec<String> {
    let mut statement = db.prepare(sql).unwrap();
    let ids = statement.query_map([], |row| row.get(0)).unwrap();
    ids.collect::<Result<_, _>>().unwrap()
}

fn export(hr: &Connection) -> String {
    let mut statement = hr
        .prepare(
            "SELECT concat_ws(',', tenant_id, user_id, coalesce(first_name, ''),
                    coalesce(last_name, ''), coalesce(hire_date, ''), coalesce(title, ''),
                    coalesce(salary, ''),
                    coalesce((SELECT group_concat(department_id, '|' ORDER BY department_id)
                              FROM employee_departments d
                              WHERE d.tenant_id = e.tenant_id AND d.user_id = e.user_id), ''))
             FROM employees e ORDER BY CAST(user_id AS INTEGER), tenant_id",
        )
        .unwrap();
    let mut text = format!("{HEADER}\n");
    let mut rows = statement.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        text.push_str(row.get_ref(0).unwrap().as_str().unwrap());
        text.push('\n');
    }
    text
}
