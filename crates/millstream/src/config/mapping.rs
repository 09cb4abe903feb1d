//! `[[apps.NAME.map]]`: what it says, and where it says it.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;

use millstream_core::change::Op;
use millstream_core::mapping::{Part, Spec};

use crate::config::check::Checker;
use crate::config::file;

/// Where the parts of a mapping stand in the file.
#[derive(Debug, Clone)]
pub(super) struct Places {
    whole: Range<usize>,
    on: Vec<Range<usize>>,
    table: Range<usize>,
    key: BTreeMap<String, Range<usize>>,
    set: BTreeMap<String, Range<usize>>,
    when: Option<Range<usize>>,
}

impl Places {
    pub(super) fn find(&self, part: &Part) -> Range<usize> {
        let found = match part {
            Part::On(index) => self.on.get(*index),
            Part::Table => Some(&self.table),
            Part::Key(column) => self.key.get(column),
            Part::Set(column) => self.set.get(column),
            Part::When => self.when.as_ref(),
            Part::Whole => None,
        };
        found.unwrap_or(&self.whole).clone()
    }
}

pub(super) fn read(map: Spanned<file::Map>, checker: &mut Checker<'_>) -> Option<(Spec, Places)> {
    let whole = map.span();
    let map = map.into_inner();
    let op = match (&map.mode, map.delete) {
        (None, false) => Op::Upsert,
        (None, true) => Op::Delete,
        (Some(mode), delete) => match (mode.get_ref().as_str(), delete) {
            ("upsert", false) => Op::Upsert,
            ("update", false) => Op::Update,
            (_, true) => {
                checker.find(mode.span(), "a mapping that deletes has no mode", None);
                return None;
            }
            _ => {
                let help = "use mode = \"upsert\" (the default) or mode = \"update\"".to_owned();
                checker.find(mode.span(), "unknown mode", Some(help));
                return None;
            }
        },
    };
    let places = Places {
        whole,
        on: map.on.iter().map(Spanned::span).collect(),
        table: map.table.span(),
        key: spans(&map.key),
        set: spans(&map.set),
        when: map.when.as_ref().map(Spanned::span),
    };
    let values = |table: file::Table<Spanned<file::Value>>| {
        table
            .into_iter()
            .map(|(column, value)| (column.into_inner(), value.into_inner().0))
            .collect()
    };
    let spec = Spec {
        on: map.on.into_iter().map(Spanned::into_inner).collect(),
        table: map.table.into_inner(),
        key: values(map.key),
        set: values(map.set),
        op,
        when: map.when.map(Spanned::into_inner),
    };
    Some((spec, places))
}

fn spans<T>(table: &file::Table<Spanned<T>>) -> BTreeMap<String, Range<usize>> {
    table
        .iter()
        .map(|(column, value)| {
            (
                column.get_ref().clone(),
                column.span().start..value.span().end,
            )
        })
        .collect()
}
