//! From an event to its plan.

use std::collections::HashMap;

use super::mapped::{Effect, Mapped};
use super::view::View;
use crate::delivery::{Decoded, Plan};

/// All mappings of an application, checked.
#[derive(Debug, Default)]
pub struct Router {
    mappings: Vec<Mapped>,
    /// For each type that is named in full: all mappings that match it, wildcards included.
    exact: HashMap<Box<str>, Vec<usize>>,
    /// Prefixes of types, each with its mapping, in the order of the mappings.
    prefixes: Vec<(Box<str>, usize)>,
}

impl Router {
    /// `on` holds patterns that were checked before, one list for each mapping.
    pub(super) fn new(mappings: Vec<Mapped>, on: &[&[String]]) -> Self {
        let mut prefixes: Vec<(Box<str>, usize)> = Vec::new();
        let mut names: Vec<(&str, usize)> = Vec::new();
        for (number, pattern) in on
            .iter()
            .enumerate()
            .flat_map(|(n, on)| on.iter().map(move |pattern| (n, pattern)))
        {
            match pattern.strip_suffix('*') {
                Some(prefix) => prefixes.push((prefix.into(), number)),
                None => names.push((pattern, number)),
            }
        }
        let mut exact: HashMap<Box<str>, Vec<usize>> = HashMap::new();
        for (name, number) in names {
            exact
                .entry(name.into())
                .or_insert_with(|| matching(&prefixes, name))
                .push(number);
        }
        for numbers in exact.values_mut() {
            numbers.sort_unstable();
            numbers.dedup();
        }
        Self {
            mappings,
            exact,
            prefixes,
        }
    }

    /// What is to be done about an event. `handled` says that code handles its type too.
    ///
    /// Changes come in the order of the mappings. The same event gives the same plan, always.
    pub fn plan(&self, decoded: &Decoded, handled: bool) -> Plan {
        let event_type = decoded.event.event_type.as_str();
        let wild;
        let numbers = match self.exact.get(event_type) {
            Some(numbers) => numbers,
            None => {
                wild = matching(&self.prefixes, event_type);
                &wild
            }
        };
        let view = View::new(decoded);
        let mut changes = Vec::with_capacity(numbers.len());
        let mut meant = false;
        for &number in numbers {
            match self.mappings[number].effect(&view) {
                Ok(Effect::NotMeant) => continue,
                Ok(Effect::Nothing) => {}
                Ok(Effect::Change(change)) => changes.push(change),
                Err(reason) => return Plan::Invalid(reason),
            }
            meant = true;
        }
        if meant || handled {
            Plan::Apply {
                changes,
                handler: handled,
            }
        } else {
            Plan::Skip
        }
    }
}

fn matching(prefixes: &[(Box<str>, usize)], event_type: &str) -> Vec<usize> {
    let mut numbers: Vec<usize> = prefixes
        .iter()
        .filter(|(prefix, _)| event_type.starts_with(&**prefix))
        .map(|&(_, number)| number)
        .collect();
    numbers.dedup();
    numbers
}
