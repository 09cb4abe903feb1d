use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::history::happening::Happening;

/// Two that differ by case, two that differ by a trailing space.
const TENANTS: [&str; 5] = ["acme", "Acme", "acme ", "globex", "Björk & Co"];

const NAMES: [&str; 10] = [
    "Ann",
    "Björn",
    "O'Neill",
    "Świątek",
    "Nguyễn",
    "王芳",
    "محمد",
    "👩‍🚀",
    "line\nbreak",
    "",
];

const TITLES: [&str; 4] = ["Engineer", "Senior Engineer", "Geschäftsführer", "部長"];

const DEPARTMENTS: [&str; 4] = ["d1", "D1", "d1 ", "d2"];

/// Events with one and the same time.
const SAME_INSTANT: u64 = 25;

/// Events of each person, about.
const EVENTS_PER_PERSON: u64 = 20;

/// How often, in percent, somebody to whom something just happened is met again at once.
const AGAIN_PERCENT: u32 = 30;

/// A history that holds what clean ones lack: changes at the same instant, ids that all tenants
/// share, ids that differ by case, by a trailing space or by their code points only, several current
/// departments, NULLs, names outside ASCII, and people who are deleted and created again.
pub(super) struct Made {
    random: StdRng,
    number: u64,
    count: u64,
    who: (String, String),
}

impl Made {
    pub(super) fn new(seed: u64, count: u64) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            number: 0,
            count,
            who: (String::new(), String::new()),
        }
    }

    /// Somebody, often the one from before: many changes of one row in one batch.
    fn meet(&mut self) -> (String, String) {
        if self.number == 1 || self.random.random_range(0..100) >= AGAIN_PERCENT {
            let tenant = self.pick(&TENANTS);
            let number = self
                .random
                .random_range(0..self.count / EVENTS_PER_PERSON / 5 + 1);
            let entity = match self.random.random_range(0..5) {
                0 => format!("u{number}"),
                1 => format!("U{number}"),
                2 => format!("u{number} "),
                // The same letter to the eye, once as one code point and once as two.
                3 => format!("\u{fc}{number}"),
                _ => format!("u\u{308}{number}"),
            };
            self.who = (tenant.into(), entity);
        }
        self.who.clone()
    }

    fn change(&mut self) -> (&'static str, Value) {
        let from = self.date();
        match self.random.random_range(0..100) {
            0..12 => ("user.created", self.person(false)),
            12..24 => ("user.updated", self.person(true)),
            24..28 => ("user.deleted", json!({})),
            28..40 => (
                "role.assigned",
                json!({ "title": self.pick(&TITLES), "from": from }),
            ),
            40..58 => {
                let department = self.pick(&DEPARTMENTS);
                let name = self.maybe(0.1, department.to_uppercase());
                (
                    "org.assigned",
                    json!({ "departmentId": department, "department": name, "from": from }),
                )
            }
            58..66 => (
                "org.unassigned",
                json!({ "departmentId": self.pick(&DEPARTMENTS), "to": from }),
            ),
            _ => {
                let salary = self.random.random_range(-1_000..150_000);
                (
                    "credit.allocated",
                    json!({ "salary": self.maybe(0.05, salary), "from": from }),
                )
            }
        }
    }

    /// All fields of a person, or some; each may be an explicit null.
    fn person(&mut self, some: bool) -> Value {
        let mut fields = json!({
            "firstName": self.pick(&NAMES),
            "lastName": self.pick(&NAMES),
            "email": "a@b.example",
            "birthDate": self.date(),
            "gender": self.pick(&["F", "M", "X"]),
            "hireDate": self.date(),
        });
        let object = fields.as_object_mut().expect("made as one");
        object
            .values_mut()
            .for_each(|value| *value = self.maybe(0.15, value.take()));
        object.retain(|_, _| !some || self.random.random_bool(0.5));
        fields
    }

    fn maybe(&mut self, null: f64, value: impl Into<Value>) -> Value {
        if self.random.random_bool(null) {
            Value::Null
        } else {
            value.into()
        }
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
            self.random.random_range(1950..2026)
        )
    }
}

impl Iterator for Made {
    type Item = Happening;

    fn next(&mut self) -> Option<Happening> {
        if self.number == self.count {
            return None;
        }
        self.number += 1;
        let (tenant, entity) = self.meet();
        let (kind, data) = self.change();
        let second = self.number / SAME_INSTANT;
        Some(Happening {
            number: self.number,
            kind: kind.into(),
            tenant,
            entity,
            data: data.to_string(),
            occurred_at: format!(
                "2024-05-01T{:02}:{:02}:{:02}Z",
                second / 3600 % 24,
                second / 60 % 60,
                second % 60
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_replays_a_history() {
        let history = |seed| Made::new(seed, 500).collect::<Vec<_>>();
        assert_eq!(history(7), history(7));
        assert_ne!(history(7), history(8));
        assert_eq!(history(7).len(), 500);
    }
}
