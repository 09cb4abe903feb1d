use comfy_table::{CellAlignment, ContentArrangement, presets};

use crate::output::escape;

/// Rows in columns, for people.
pub(crate) struct Table(comfy_table::Table);

impl Table {
    pub(crate) fn new<const N: usize>(header: [&str; N]) -> Self {
        let mut table = comfy_table::Table::new();
        table
            .load_style(presets::UTF8_BORDERS_ONLY)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_header(header);
        Self(table)
    }

    /// Adds a row; a cell may hold what others wrote.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.0.add_row(cells.each_ref().map(|cell| escape(cell)));
    }

    /// Aligns columns to the right, for numbers.
    pub(crate) fn right(mut self, columns: std::ops::Range<usize>) -> Self {
        for index in columns {
            if let Some(column) = self.0.column_mut(index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        self
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
