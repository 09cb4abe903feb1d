//! Which names an expression uses, and whether they are known.

use cel::IdedExpr;
use cel::common::ast::{EntryExpr, Expr};

use super::CompileError;
use crate::limits::EXPRESSION_LOOPS_MAX;
use crate::mapping::path::Root;
use crate::mapping::suggest;

/// Names of types, which an expression may compare with `type(x)`.
const TYPES: [&str; 10] = [
    "bool",
    "bytes",
    "double",
    "int",
    "list",
    "map",
    "null_type",
    "string",
    "type",
    "uint",
];

/// Functions, member functions included. Macros are expanded before anybody looks.
const FUNCTIONS: [&str; 20] = [
    "bool",
    "bytes",
    "contains",
    "double",
    "dyn",
    "endsWith",
    "hasValue",
    "int",
    "matches",
    "none",
    "of",
    "ofNonZeroValue",
    "or",
    "orValue",
    "size",
    "startsWith",
    "string",
    "type",
    "uint",
    "value",
];

/// The variables that an expression names.
pub(super) fn roots(expression: &IdedExpr) -> Result<Vec<Root>, CompileError> {
    let mut walk = Walk {
        bound: Vec::new(),
        roots: Vec::new(),
        loops: 0,
    };
    walk.expression(expression)?;
    Ok(walk.roots)
}

struct Walk<'a> {
    /// Variables of the loops around.
    bound: Vec<&'a str>,
    roots: Vec<Root>,
    loops: usize,
}

impl<'a> Walk<'a> {
    fn expression(&mut self, expression: &'a IdedExpr) -> Result<(), CompileError> {
        match &expression.expr {
            Expr::Unspecified | Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.identifier(name),
            Expr::Select(select) => self.expression(&select.operand),
            Expr::List(list) => list.elements.iter().try_for_each(|e| self.expression(e)),
            Expr::Map(map) => map
                .entries
                .iter()
                .try_for_each(|entry| self.entry(&entry.expr)),
            Expr::Struct(_) => Err(unknown("makes an object of a type", None)),
            Expr::Call(call) => {
                function(&call.func_name)?;
                match call.target.as_deref() {
                    // The library of optionals: `optional.of(x)`.
                    Some(IdedExpr {
                        expr: Expr::Ident(name),
                        ..
                    }) if name == "optional" => {}
                    Some(target) => self.expression(target)?,
                    None => {}
                }
                call.args
                    .iter()
                    .try_for_each(|argument| self.expression(argument))
            }
            Expr::Comprehension(comprehension) => {
                self.expression(&comprehension.iter_range)?;
                self.expression(&comprehension.accu_init)?;
                let outer = self.bound.len();
                self.bound.push(&comprehension.iter_var);
                self.bound.extend(comprehension.iter_var2.as_deref());
                self.bound.push(&comprehension.accu_var);
                self.loops += 1;
                if self.loops > EXPRESSION_LOOPS_MAX {
                    let what =
                        format!("has more than {EXPRESSION_LOOPS_MAX} loops inside each other");
                    return Err(unknown(&what, None));
                }
                self.expression(&comprehension.loop_cond)?;
                self.expression(&comprehension.loop_step)?;
                self.loops -= 1;
                self.expression(&comprehension.result)?;
                self.bound.truncate(outer);
                Ok(())
            }
        }
    }

    fn entry(&mut self, entry: &'a EntryExpr) -> Result<(), CompileError> {
        match entry {
            EntryExpr::StructField(field) => self.expression(&field.value),
            EntryExpr::MapEntry(entry) => {
                self.expression(&entry.key)?;
                self.expression(&entry.value)
            }
        }
    }

    fn identifier(&mut self, name: &str) -> Result<(), CompileError> {
        if self.bound.contains(&name) || TYPES.contains(&name) {
            return Ok(());
        }
        let Some(root) = Root::of(name) else {
            let roots = Root::ALL.iter().map(|&(name, _)| name);
            return Err(unknown(
                &format!("names `{name}`, which no event has"),
                suggest::help("an expression may name", name, roots),
            ));
        };
        if !self.roots.contains(&root) {
            self.roots.push(root);
        }
        Ok(())
    }
}

/// Operators have names that no function can have: `_+_`, `@in`.
fn function(name: &str) -> Result<(), CompileError> {
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || FUNCTIONS.contains(&name) {
        return Ok(());
    }
    Err(unknown(
        &format!("calls `{name}`, which does not exist"),
        suggest::help("an expression may call", name, FUNCTIONS.into_iter()),
    ))
}

fn unknown(what: &str, help: Option<String>) -> CompileError {
    CompileError {
        message: format!("the expression {what}"),
        help,
    }
}
