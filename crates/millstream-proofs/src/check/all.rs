use crate::check::export::export;
use crate::check::outbox::outbox;
use crate::check::tables::tables;
use crate::check::tracking::tracking;
use crate::history::History;
use crate::model::Model;
use crate::site::View;

/// Compares everything that the databases hold, and says with what.
pub(crate) fn all(view: &View, model: &Model, history: &History) -> anyhow::Result<&'static str> {
    outbox(&view.crm, model)?;
    tracking(view, model)?;
    tables(view, model)?;
    match history.expected() {
        Some(expected) => {
            export(&view.hr, &expected)?;
            Ok("the model and expected.csv")
        }
        None => Ok("the model"),
    }
}
