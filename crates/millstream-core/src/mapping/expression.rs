//! Expressions (CEL) of mappings: checked when configuration is, evaluated for each event.

mod check;
mod convert;

use std::fmt;
use std::sync::{Arc, LazyLock};

use super::coerce::Input;
use super::path::Root;
use super::view::View;
use crate::limits::EXPRESSION_BYTES_MAX;

pub(super) use convert::from_json;

/// The functions of the standard library. No clock, no randomness: the same event, the same value.
static ENV: LazyLock<Arc<cel::Env>> = LazyLock::new(|| Arc::new(cel::Env::stdlib()));

/// A checked expression.
pub(super) struct Expression {
    program: cel::Program,
    /// The variables that it names: no others are computed.
    roots: Vec<Root>,
}

/// What is wrong with an expression, and what may help.
#[derive(Debug)]
pub(super) struct CompileError {
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Expression {
    pub(super) fn compile(source: &str) -> Result<Self, CompileError> {
        if source.len() > EXPRESSION_BYTES_MAX {
            return Err(CompileError {
                message: format!(
                    "the expression has {} bytes, at most {EXPRESSION_BYTES_MAX} are allowed",
                    source.len()
                ),
                help: Some("a handler in code is the better place for it".into()),
            });
        }
        let program = ENV.compile(source).map_err(|errors| {
            let first = errors.errors.first();
            let place = first.map_or(String::new(), |e| format!(" at column {}", e.pos.1));
            let what = first.map_or(String::new(), |e| format!(": {}", e.msg));
            CompileError {
                message: format!("the expression is not valid CEL{place}{what}"),
                help: None,
            }
        })?;
        let roots = check::roots(program.expression())?;
        Ok(Self { program, roots })
    }

    /// What it gives; nothing for an optional that holds nothing.
    pub(super) fn value(&self, view: &View<'_>) -> Result<Option<Input<'static>>, &'static str> {
        convert::to_input(self.execute(view)?)
    }

    pub(super) fn is_true(&self, view: &View<'_>) -> Result<bool, &'static str> {
        match self.execute(view)? {
            cel::Value::Bool(truth) => Ok(truth),
            _ => Err("it gives neither true nor false"),
        }
    }

    fn execute(&self, view: &View<'_>) -> Result<cel::Value, &'static str> {
        let mut context = cel::Context::with_env(Arc::clone(&ENV));
        for &root in &self.roots {
            context.add_variable_from_value(root.name(), view.variable(root)?);
        }
        self.program
            .execute(&context)
            .map_err(|error| describe(&error))
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expression")
            .field("roots", &self.roots)
            .finish_non_exhaustive()
    }
}

/// The kind of an error. Its own words would show values of the event.
fn describe(error: &cel::ExecutionError) -> &'static str {
    use cel::ExecutionError as E;
    match error {
        E::NoSuchKey(_) => "it asks for a member that is not there; has() tells",
        E::IndexOutOfBounds(_) => "it asks for an element that is not there",
        E::DivisionByZero(_) | E::RemainderByZero(_) => "it divides by zero",
        E::Overflow(..) => "its number does not fit into 64 bits",
        E::NoSuchOverload(_)
        | E::UnexpectedType { .. }
        | E::UnsupportedTargetType { .. }
        | E::NotSupportedAsMethod { .. }
        | E::UnsupportedBinaryOperator(..)
        | E::ValuesNotComparable(..)
        | E::UnsupportedKeyType(_)
        | E::UnsupportedIndex(..) => "it puts types together that do not go together",
        E::FunctionError { .. } => "one of its functions failed",
        E::DuplicateKey(_) => "it makes a map in which a key is repeated",
        _ => "it cannot be evaluated",
    }
}
