use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use millstream_core::delivery::Outcome;
use millstream_core::entry::Entry;
use millstream_core::name::PartitionKey;

use super::{Source, event};
use crate::suite::Site;

/// Something that happens to an entity of a tenant.
#[derive(Debug, Clone)]
pub(super) struct Step {
    tenant: &'static str,
    entity: &'static str,
    /// What must stay in order, if not the entity. The shared stream knows no such thing.
    key: Option<&'static str>,
    act: Act,
}

#[derive(Debug, Clone)]
enum Act {
    /// Name, mail and age; what is `None` is not in the event, what is `NULL` is null.
    Set([Option<String>; 3]),
    Renamed(String),
    Left,
    Joined(&'static str, String),
    Parted(&'static str),
    Opened(i64),
    Credited(i64),
    /// The handler refuses it after it has written.
    Refused,
    /// A value that does not fit its column.
    Wrong,
    /// Nothing is mapped for it.
    Unmapped,
    /// It cannot be decoded; with a key or without.
    Broken(bool),
}

pub(super) fn steps(
    count: impl Into<prop::collection::SizeRange>,
) -> impl Strategy<Value = Vec<Step>> {
    let tenant = prop::sample::select(vec!["acme", "globex", "ACME"]);
    let entity = prop::sample::select(vec!["7", "8", "a", "a "]);
    let key = prop_oneof![4 => Just(None), 1 => Just(Some("7")), 1 => Just(Some("team"))];
    let step = (tenant, entity, key, act()).prop_map(|(tenant, entity, key, act)| Step {
        tenant,
        entity,
        key,
        act,
    });
    prop::collection::vec(step, count)
}

fn act() -> impl Strategy<Value = Act> {
    let text = || "[a-cżö]{1,2}";
    let field = |value: BoxedStrategy<String>| prop_oneof![2 => Just(None), 1 => Just(Some("NULL".to_owned())), 3 => value.prop_map(Some)];
    let number = (-9..100i32).prop_map(|n| n.to_string()).boxed();
    let set = (field(text().boxed()), field(text().boxed()), field(number));
    let department = || prop::sample::select(vec!["d1", "d2"]);
    prop_oneof![
        10 => set.prop_map(|(name, email, age)| Act::Set([name, email, age])),
        3 => text().prop_map(Act::Renamed),
        2 => Just(Act::Left),
        4 => (department(), text()).prop_map(|(department, since)| Act::Joined(department, since)),
        2 => department().prop_map(Act::Parted),
        5 => (0..1_000i64).prop_map(Act::Opened),
        8 => (1..100i64).prop_map(Act::Credited),
        1 => Just(Act::Refused),
        1 => Just(Act::Wrong),
        1 => Just(Act::Unmapped),
        1 => any::<bool>().prop_map(Act::Broken),
    ]
}

impl Step {
    /// The entry that tells of it.
    pub(super) fn send(&self, source: &mut Source) -> Entry {
        let string = |text: &str| match text {
            "NULL" => "null".to_owned(),
            text => format!("\"{text}\""),
        };
        let (event_type, data) = match &self.act {
            Act::Broken(keyed) => {
                return source.send_broken(keyed.then_some((self.tenant, self.entity)));
            }
            Act::Set([name, email, age]) => {
                let age = age.as_ref().map(|age| age.replace("NULL", "null"));
                let members = [
                    ("name", name.as_deref().map(string)),
                    ("email", email.as_deref().map(string)),
                    ("age", age),
                ];
                let members: Vec<_> = members
                    .into_iter()
                    .filter_map(|(name, value)| Some(format!("\"{name}\":{}", value?)))
                    .collect();
                ("person.set", format!("{{{}}}", members.join(",")))
            }
            Act::Renamed(name) => ("person.renamed", format!("{{\"name\":\"{name}\"}}")),
            Act::Left => ("person.left", "{}".into()),
            Act::Joined(department, since) => (
                "member.set",
                format!("{{\"department\":\"{department}\",\"since\":\"{since}\"}}"),
            ),
            Act::Parted(department) => (
                "member.removed",
                format!("{{\"department\":\"{department}\"}}"),
            ),
            Act::Opened(balance) => ("account.opened", format!("{{\"balance\":{balance}}}")),
            Act::Credited(amount) => ("account.credited", format!("{{\"amount\":{amount}}}")),
            Act::Refused => ("handler.fails", "{}".into()),
            Act::Wrong => ("person.set", r#"{"name":"x","age":"old"}"#.into()),
            Act::Unmapped => ("weather.changed", "{}".into()),
        };
        let mut event = event(event_type, self.tenant, self.entity, &data);
        event.partition_key = self.key.and_then(|key| PartitionKey::new(key).ok());
        source.send(&event)
    }
}

type Id = (&'static str, &'static str);

/// The application's tables and the inbox, one event after another, as plainly as possible.
#[derive(Debug, Default)]
pub(super) struct Plain {
    people: BTreeMap<Id, [String; 3]>,
    memberships: BTreeMap<(Id, &'static str), String>,
    accounts: BTreeMap<Id, i64>,
    parked: BTreeSet<Id>,
    endings: Vec<Outcome>,
    /// The key of each step, if it has one.
    keys: Vec<Option<Id>>,
}

impl Plain {
    /// What is to be expected after these steps; `keyed` where partition keys count.
    pub(super) fn after(steps: &[Step], keyed: bool) -> Self {
        let mut plain = Self::default();
        plain.go_on(steps, keyed);
        plain
    }

    /// Takes more steps.
    pub(super) fn go_on(&mut self, steps: &[Step], keyed: bool) {
        let plain = self;
        for step in steps {
            let key = step
                .key
                .filter(|_| keyed && !matches!(step.act, Act::Broken(_)));
            let key = match step.act {
                Act::Broken(false) => None,
                _ => Some((step.tenant, key.unwrap_or(step.entity))),
            };
            let ending = match key {
                Some(key) if plain.parked.contains(&key) => Outcome::Blocked,
                _ => plain.settle((step.tenant, step.entity), &step.act),
            };
            if matches!(ending, Outcome::Dead | Outcome::Retrying) {
                plain.parked.extend(key);
            }
            plain.endings.push(ending);
            plain.keys.push(key);
        }
    }

    /// Tries again what is not dead, in the order in which it came, and nothing behind what fails.
    pub(super) fn try_again(&mut self, steps: &[Step]) {
        self.parked.clear();
        for (place, step) in steps.iter().enumerate() {
            let Some(key) = self.keys[place] else {
                continue;
            };
            match self.endings[place] {
                Outcome::Retrying | Outcome::Blocked if !self.parked.contains(&key) => {
                    self.endings[place] = self.settle((step.tenant, step.entity), &step.act);
                }
                _ => {}
            }
            if self.endings[place].status() != "processed" {
                self.parked.insert(key);
            }
        }
    }

    /// Makes rows as somebody else does, where they are missing.
    pub(super) fn help(&mut self) {
        for id in [("acme", "7"), ("globex", "a")] {
            let row = || ["NULL", "NULL", "NULL"].map(str::to_owned);
            self.people.entry(id).or_insert_with(row);
        }
    }

    /// How many events are parked.
    pub(super) fn parked_count(&self) -> usize {
        let parked = |ending: &&Outcome| ending.status() != "processed";
        self.endings.iter().filter(parked).count()
    }

    fn settle(&mut self, id: Id, act: &Act) -> Outcome {
        match act {
            Act::Set(fields) => {
                let null = || "NULL".to_owned();
                let row = self
                    .people
                    .entry(id)
                    .or_insert_with(|| [null(), null(), null()]);
                for (column, field) in row.iter_mut().zip(fields) {
                    column.clone_from(field.as_ref().unwrap_or(&column.clone()));
                }
            }
            Act::Renamed(name) => match self.people.get_mut(&id) {
                Some(row) => row[0].clone_from(name),
                None => return Outcome::Retrying,
            },
            Act::Left => {
                self.people.remove(&id);
                self.memberships.retain(|(person, _), _| *person != id);
            }
            Act::Joined(department, since) => {
                self.memberships.insert((id, department), since.clone());
            }
            Act::Parted(department) => {
                self.memberships.remove(&(id, *department));
            }
            Act::Opened(balance) => {
                self.accounts.insert(id, *balance);
            }
            Act::Credited(amount) => match self.accounts.get_mut(&id) {
                Some(balance) => *balance += amount,
                None => return Outcome::Dead,
            },
            Act::Unmapped => return Outcome::Skipped,
            Act::Refused | Act::Wrong | Act::Broken(_) => return Outcome::Dead,
        }
        Outcome::Applied
    }

    /// Everything in it, by table.
    pub(super) fn rows(&self, entries: &[Entry]) -> [Vec<String>; 5] {
        let people = self
            .people
            .iter()
            .map(|((tenant, id), row)| format!("{tenant}|{id}|{}", row.join("|")));
        let memberships = self
            .memberships
            .iter()
            .map(|(((tenant, person), department), since)| {
                format!("{tenant}|{person}|{department}|{since}")
            });
        let accounts = self
            .accounts
            .iter()
            .map(|((tenant, id), balance)| format!("{tenant}|{id}|{balance}"));
        let tracked = self.endings.iter().zip(entries).map(|(ending, entry)| {
            let id = entry.fields.get("eventId").expect("each entry has an id");
            let id = String::from_utf8_lossy(id);
            format!("{id}|{}|{}", ending.status(), ending.as_str())
        });
        let mut rows = [
            people.collect(),
            memberships.collect(),
            accounts.collect(),
            Vec::new(),
            tracked.collect(),
        ];
        rows.iter_mut().for_each(|rows| rows.sort());
        rows
    }

    /// The same of a real database.
    pub(super) async fn rows_of(site: &impl Site) -> [Vec<String>; 5] {
        let mut found: [Vec<String>; 5] = Default::default();
        let queries = [
            "SELECT tenant_id, id, name, email, age FROM people",
            "SELECT tenant_id, person, department, since FROM memberships",
            "SELECT tenant_id, id, balance FROM accounts",
            "SELECT tenant_id, id FROM effects",
            "SELECT event_id, status, outcome FROM event_tracking",
        ];
        for (query, found) in queries.iter().zip(&mut found) {
            *found = site.rows(query).await;
            found.sort();
        }
        found
    }
}
