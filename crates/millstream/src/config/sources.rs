//! `[[apps.NAME.source]]`: which rows an application's events describe.

use std::collections::BTreeSet;
use std::ops::Range;

use toml::Spanned;

use millstream_core::capture::{Happening, Source};

use crate::config::check::Checker;
use crate::config::file;

/// Fields of an event that say which row it is about.
const TENANT: &str = "tenantId";
const ENTITY: &str = "entityId";

/// The sources, each with the place of its table's name.
pub(super) fn read(
    sections: Vec<Spanned<file::Source>>,
    checker: &mut Checker<'_>,
) -> Vec<(Source, Range<usize>)> {
    let mut tables = BTreeSet::new();
    let mut sources = Vec::new();
    for section in sections {
        let span = section.span();
        let section = section.into_inner();
        if !tables.insert(section.table.get_ref().clone()) {
            let message = format!("table {} has two sources", section.table.get_ref());
            let help = "leave one of them out: a row has one event for each change";
            checker.find(section.table.span(), message, Some(help.into()));
        }
        let mut key = section.key;
        let mut take = |field: &str| key.remove(field).map(Spanned::into_inner);
        let (tenant, entity) = (take(TENANT), take(ENTITY));
        for (field, _) in key {
            let message = format!("{} does not identify a row", field.get_ref());
            let help = format!("write key = {{ {TENANT} = \"COLUMN\", {ENTITY} = \"COLUMN\" }}");
            checker.find(field.span(), message, Some(help));
        }
        let Some(entity) = entity else {
            let message = format!("the key of a source names a column for {ENTITY}");
            let help = format!("write key = {{ {TENANT} = \"COLUMN\", {ENTITY} = \"COLUMN\" }}");
            checker.find(span, message, Some(help));
            continue;
        };
        let columns = |table: file::Table<Spanned<String>>| {
            let pair = |(field, column): (Spanned<String>, Spanned<String>)| {
                (field.into_inner(), column.into_inner())
            };
            table.into_iter().map(pair).collect()
        };
        let place = section.table.span();
        let source = Source {
            event: section.event.get_ref().clone(),
            table: section.table.into_inner(),
            tenant,
            entity,
            data: columns(section.data),
        };
        let named = source.event_type(Happening::Created);
        if checker.take(section.event.span(), named).is_some() {
            sources.push((source, place));
        }
    }
    sources
}
