//! Checks mappings against the tables as they are, and makes what plans events.

mod check;
mod columns;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use check::{Checked, Checker};

use super::mapped::{Binding, Mapped};
use super::problem::{Part, Problem};
use super::router::Router;
use super::shapes::Shapes;
use super::spec::Spec;
use crate::change::Shape;
use crate::limits::MAPPINGS_MAX;
use crate::store::Table;

/// Checks all mappings; `tables` are those of [`table_names`](super::table_names) that exist.
///
/// # Errors
///
/// Fails with everything that is wrong, in the order of the mappings.
pub fn compile(specs: &[Spec], tables: &HashMap<Arc<str>, Table>) -> Result<Router, Vec<Problem>> {
    if specs.len() > MAPPINGS_MAX {
        return Err(vec![Problem {
            mapping: MAPPINGS_MAX,
            part: Part::Whole,
            message: format!("there are more than {MAPPINGS_MAX} mappings"),
            help: None,
        }]);
    }
    let mut checker = Checker::new(tables);
    let checked: Vec<Option<Checked>> = specs
        .iter()
        .enumerate()
        .map(|(number, spec)| checker.check(number, spec))
        .collect();
    if !checker.problems.is_empty() {
        return Err(checker.problems);
    }
    let checked: Vec<Checked> = checked.into_iter().flatten().collect();
    let on: Vec<&[String]> = specs.iter().map(|spec| spec.on.as_slice()).collect();
    Ok(Router::new(number(checked, tables), &on))
}

/// Gives equal tables, keys and statements equal numbers and one allocation.
fn number(checked: Vec<Checked>, tables: &HashMap<Arc<str>, Table>) -> Vec<Mapped> {
    let mut names: Vec<Arc<str>> = Vec::new();
    let mut keys: Vec<(u16, Arc<[Arc<str>]>)> = Vec::new();
    let numbers: Vec<(u16, u16)> = checked
        .iter()
        .map(|mapping| {
            let table = position(&mut names, Arc::clone(&mapping.table));
            (table, position(&mut keys, (table, columns(&mapping.key))))
        })
        .collect();
    let mut shapes: HashSet<Arc<Shape>> = HashSet::new();
    checked
        .into_iter()
        .zip(numbers)
        .map(|(mapping, (table_number, key_number))| {
            let key_lists = keys
                .iter()
                .filter(|(table, _)| *table == table_number)
                .count();
            let table = tables.get(&mapping.table);
            let related = table.is_some_and(|table| table.related);
            let required = table.map(required).unwrap_or_default();
            let shape = Arc::new(Shape {
                table_number,
                table: Arc::clone(&names[usize::from(table_number)]),
                version: table.map_or(0, |table| table.version),
                key_number,
                key: Arc::clone(&keys[usize::from(key_number)].1),
                set: columns(&mapping.set),
                required,
                op: mapping.op,
                ordered: related || key_lists > 1,
            });
            let shape = match shapes.get(&shape) {
                Some(known) => Arc::clone(known),
                None => {
                    shapes.insert(Arc::clone(&shape));
                    shape
                }
            };
            Mapped {
                table: mapping.table,
                when: mapping.when,
                key: mapping.key,
                set: mapping.set,
                shapes: Shapes::new(shape),
            }
        })
        .collect()
}

/// The number of an item in a list, to which it is added if it is new.
fn position<T: PartialEq>(list: &mut Vec<T>, item: T) -> u16 {
    let position = list
        .iter()
        .position(|known| *known == item)
        .unwrap_or_else(|| {
            list.push(item);
            list.len() - 1
        });
    u16::try_from(position).expect("there are at most MAPPINGS_MAX of anything")
}

fn columns(bindings: &[Binding]) -> Arc<[Arc<str>]> {
    bindings
        .iter()
        .map(|binding| Arc::clone(&binding.column))
        .collect()
}

/// The columns that an insert into the table must name.
fn required(table: &Table) -> Arc<[Arc<str>]> {
    let needed = table
        .columns
        .iter()
        .filter(|column| column.required && !column.generated);
    needed.map(|column| Arc::clone(&column.name)).collect()
}
