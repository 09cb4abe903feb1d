//! Fields on their way into version 1.

use bytes::Bytes;

use crate::entry::Fields;
use crate::wire::json::{Members, text_of};

/// A list of fields in which the first of a name counts.
pub(super) struct Draft(Vec<(Bytes, Bytes)>);

impl Draft {
    pub(super) fn of(fields: &Fields) -> Self {
        Self(
            fields
                .iter()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        )
    }

    /// The members of a JSON object as fields; none when its text is not one that can be read.
    pub(super) fn of_json(text: &str) -> Option<Self> {
        let members = Members::of(text)?.into_rev_iter();
        Some(Self(
            members
                .filter_map(|(name, raw)| Some((bytes(&name), bytes(&text_of(raw)?))))
                .collect(),
        ))
    }

    pub(super) fn get(&self, name: &str) -> Option<&Bytes> {
        self.0
            .iter()
            .find(|(field, _)| field == name)
            .map(|(_, value)| value)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.get(name)?).ok()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Sets a field in place of the first of this name, or anew.
    pub(super) fn put(&mut self, name: &'static str, value: Bytes) {
        match self.0.iter_mut().find(|(field, _)| field == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((Bytes::from_static(name.as_bytes()), value)),
        }
    }

    /// Gives a field the name that version 1 knows, unless that is taken.
    pub(super) fn rename(&mut self, from: &str, to: &'static str) {
        if self.has(to) {
            return;
        }
        if let Some((name, _)) = self.0.iter_mut().find(|(field, _)| field == from) {
            *name = Bytes::from_static(to.as_bytes());
        }
    }

    /// Looks for a missing field among the members of another.
    pub(super) fn lift(&mut self, inside: &Self, from: &str, to: &'static str) {
        if let (false, Some(value)) = (self.has(to), inside.get(from)) {
            self.put(to, value.clone());
        }
    }

    /// The members of a field that holds a JSON object within the limits; else none at all.
    pub(super) fn inside(&self, name: &str) -> Self {
        let within = |text: &&str| crate::wire::json::check(text.as_bytes()).is_ok();
        self.text(name)
            .filter(within)
            .and_then(Self::of_json)
            .unwrap_or(Self(Vec::new()))
    }

    /// Takes out the fields that are chosen by name, in order.
    pub(super) fn split_off(&mut self, chosen: impl Fn(&[u8]) -> bool) -> Vec<(Bytes, Bytes)> {
        let (taken, kept) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|(n, _)| chosen(n));
        self.0 = kept;
        taken
    }

    pub(super) fn into_fields(self) -> Fields {
        self.0.into_iter().collect()
    }
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}
