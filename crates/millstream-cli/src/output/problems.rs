use millstream::core::name::AppName;
use serde_json::{Value, json};

use crate::cli::Global;
use crate::exit_code::{self, Code};
use crate::output::print;

/// What went wrong with some of several applications, while the others are looked at all the same.
pub(crate) struct Problems<'a> {
    global: &'a Global,
    told: Vec<Value>,
    code: Code,
}

impl<'a> Problems<'a> {
    pub(crate) fn new(global: &'a Global) -> Self {
        Self {
            global,
            told: Vec::new(),
            code: Code::Done,
        }
    }

    /// The value, or none once its error was told.
    pub(crate) fn of<T>(&mut self, app: Option<&AppName>, result: anyhow::Result<T>) -> Option<T> {
        result.map_err(|error| self.tell(app, &error)).ok()
    }

    /// Says on stderr what went wrong, as for a command that ends by it.
    pub(crate) fn tell(&mut self, app: Option<&AppName>, error: &anyhow::Error) {
        let code = exit_code::of(error);
        let message = format!("{error:#}");
        print::error(self.global, error, code);
        if message.contains('\n') {
            // What shows lines of a file is kept apart from the next.
            print::remark(self.global, "");
        }
        self.told.push(json!({
            "app": app.map(AppName::as_str),
            "error": message,
            "code": code as u8,
        }));
        self.code = self.code.and(code);
    }

    /// What was told, as JSON.
    pub(crate) fn told(&self) -> &[Value] {
        &self.told
    }

    /// The lowest of the numbers of what went wrong.
    pub(crate) fn code(&self) -> Code {
        self.code
    }
}
