//! Where the demo's events come from: a file, or a seed.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use uuid::Uuid;

use millstream::core::name::{AppName, EntityId, EventId, EventType, TenantId};
use millstream::{Json, NewEvent};

use crate::cli::Demo;
use crate::exit_code::Coded;
use crate::ndjson::Reader;

const TENANTS: [&str; 4] = ["acme", "globex", "initech", "umbrella"];
const FIRST_NAMES: [&str; 10] = [
    "Ann", "Björn", "Chloé", "Dmitri", "Eun-ji", "Fatima", "Gwen", "Hüseyin", "Inês", "Jiří",
];
const LAST_NAMES: [&str; 10] = [
    "O'Neill",
    "Świątek",
    "García",
    "Müller",
    "Nguyễn",
    "Okafor",
    "Park",
    "Smith",
    "Ünal",
    "Weiß",
];
const TITLES: [&str; 5] = ["Engineer", "Senior Engineer", "Staff", "Manager", "Analyst"];
const DEPARTMENTS: [(&str, &str); 5] = [
    ("d1", "Production"),
    ("d2", "Sales"),
    ("d3", "Research"),
    ("d4", "Finance"),
    ("d5", "Customer Service"),
];

/// Events in the order in which they happen.
pub(super) enum Events {
    /// Read from a file.
    File(Box<Reader>),
    /// Made up.
    Made(Box<Lives>),
}

impl Events {
    pub(super) fn open(args: &Demo) -> anyhow::Result<Self> {
        Ok(match &args.events {
            Some(path) => {
                let crm = AppName::new("crm").expect("a valid name");
                let reader = Reader::open(path, &crm)
                    .map_err(|error| Coded::invalid(format!("{error:#}")))?;
                Self::File(Box::new(reader))
            }
            None => Self::Made(Box::new(Lives::new(args.seed, args.count))),
        })
    }
}

impl Iterator for Events {
    type Item = anyhow::Result<NewEvent>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::File(reader) => match reader.next() {
                Ok(event) => event.map(Ok),
                Err(error) => Some(Err(Coded::invalid(format!(
                    "line {}: {:#}; everything before it was published",
                    error.line, error.reason
                )))),
            },
            Self::Made(lives) => lives.next().map(Ok),
        }
    }
}

/// People who are hired, promoted, moved, paid, renamed, and sometimes leave.
///
/// Ids are shared by all tenants, many changes have the same time, people may be in two departments:
/// what real histories hold too.
pub(super) struct Lives {
    random: StdRng,
    seed: u64,
    people: u32,
    hired: u32,
    here: Vec<Person>,
    made: u64,
    left: u64,
}

#[derive(Debug, Clone)]
struct Person {
    tenant: &'static str,
    id: String,
    departments: Vec<usize>,
}

/// Later events of a person, on average.
const EVENTS_PER_PERSON: u64 = 6;

impl Lives {
    fn new(seed: u64, people: u32) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            seed,
            people,
            hired: 0,
            here: Vec::new(),
            made: 0,
            left: u64::from(people) * EVENTS_PER_PERSON,
        }
    }

    fn hire(&mut self) -> NewEvent {
        let tenant = TENANTS[self.hired as usize % TENANTS.len()];
        let id = (self.hired as usize / TENANTS.len() + 1).to_string();
        self.hired += 1;
        let data = json!({
            "userId": id,
            "firstName": self.pick(&FIRST_NAMES),
            "lastName": self.pick(&LAST_NAMES),
            "email": format!("{id}@{tenant}.example"),
            "birthDate": format!("{}-03-14", self.random.random_range(1950..2000)),
            "gender": self.pick(&["F", "M"]),
            "hireDate": self.date(),
        });
        self.here.push(Person {
            tenant,
            id: id.clone(),
            departments: Vec::new(),
        });
        self.event("user.created", tenant, &id, data)
    }

    fn later(&mut self) -> NewEvent {
        self.left -= 1;
        let index = self.random.random_range(0..self.here.len());
        let Person {
            tenant,
            id,
            departments,
        } = self.here[index].clone();
        let from = self.date();
        match self.random.random_range(0..100) {
            0..45 => {
                let salary = self.random.random_range(30_000..150_000);
                self.event(
                    "credit.allocated",
                    tenant,
                    &id,
                    json!({ "salary": salary, "from": from }),
                )
            }
            45..65 => {
                let title = self.pick(&TITLES);
                self.event(
                    "role.assigned",
                    tenant,
                    &id,
                    json!({ "title": title, "from": from }),
                )
            }
            65..82 => {
                let department = self.random.random_range(0..DEPARTMENTS.len());
                let known = &mut self.here[index].departments;
                if !known.contains(&department) {
                    known.push(department);
                }
                let (key, name) = DEPARTMENTS[department];
                let data = json!({ "departmentId": key, "department": name, "from": from });
                self.event("org.assigned", tenant, &id, data)
            }
            82..90 if !departments.is_empty() => {
                let department = self.here[index].departments.remove(0);
                let (key, name) = DEPARTMENTS[department];
                let data = json!({ "departmentId": key, "department": name, "to": from });
                self.event("org.unassigned", tenant, &id, data)
            }
            90..92 if self.here.len() > 1 => {
                self.here.swap_remove(index);
                self.event("user.deleted", tenant, &id, json!({}))
            }
            _ => {
                // Some people have no address on file: an explicit null, not a missing field.
                let email: Value = match self.random.random_range(0..4) {
                    0 => Value::Null,
                    _ => format!("{id}@{}.example", self.pick(&TENANTS)).into(),
                };
                let data = json!({
                    "firstName": self.pick(&FIRST_NAMES),
                    "lastName": self.pick(&LAST_NAMES),
                    "email": email,
                });
                self.event("user.updated", tenant, &id, data)
            }
        }
    }

    fn event(&mut self, kind: &str, tenant: &str, id: &str, data: Value) -> NewEvent {
        self.made += 1;
        let name = format!("millstream demo {} {}", self.seed, self.made);
        let event_id = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string();
        let mut event = NewEvent::new(
            EventType::new(kind).expect("a valid type"),
            TenantId::new(tenant).expect("a valid tenant"),
            EntityId::new(id).expect("a valid id"),
            Json::from_value(&data).expect("an object of moderate size"),
        );
        event.id = Some(EventId::new(event_id).expect("a UUID is a valid id"));
        event
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        from.choose(&mut self.random)
            .expect("there is something to pick")
    }

    fn date(&mut self) -> String {
        let (month, day) = (
            self.random.random_range(1..=12),
            self.random.random_range(1..=28),
        );
        format!(
            "{}-{month:02}-{day:02}",
            self.random.random_range(2000..2026)
        )
    }
}

impl Iterator for Lives {
    type Item = NewEvent;

    fn next(&mut self) -> Option<NewEvent> {
        let hire =
            self.hired < self.people && (self.here.is_empty() || self.random.random_ratio(1, 4));
        if hire || (self.left == 0 && self.hired < self.people) {
            Some(self.hire())
        } else if self.left > 0 {
            Some(self.later())
        } else {
            None
        }
    }
}
