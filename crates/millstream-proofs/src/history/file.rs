use std::fs::File;
use std::io::{BufRead, BufReader, Lines as TextLines};
use std::path::Path;

use anyhow::Context as _;
use flate2::bufread::MultiGzDecoder;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::history::happening::Happening;

/// A line as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    event_type: String,
    tenant_id: String,
    entity_id: String,
    occurred_at: String,
    #[serde(borrow)]
    event_data: &'a RawValue,
}

/// The events of a file, one JSON object a line, plain or gzip.
pub(super) struct Lines {
    lines: TextLines<Box<dyn BufRead>>,
    number: u64,
}

impl Lines {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let failed = || format!("cannot read {}", path.display());
        let mut raw = BufReader::new(File::open(path).with_context(failed)?);
        let gzip = raw
            .fill_buf()
            .with_context(failed)?
            .starts_with(&[0x1f, 0x8b]);
        let lines: Box<dyn BufRead> = match gzip {
            true => Box::new(BufReader::new(MultiGzDecoder::new(raw))),
            false => Box::new(raw),
        };
        Ok(Self {
            lines: lines.lines(),
            number: 0,
        })
    }

    fn read(&self, text: &str) -> anyhow::Result<Happening> {
        let line: Line<'_> = serde_json::from_str(text)?;
        Ok(Happening {
            number: self.number,
            kind: line.event_type,
            tenant: line.tenant_id,
            entity: line.entity_id,
            data: line.event_data.get().into(),
            occurred_at: line.occurred_at,
        })
    }
}

impl Iterator for Lines {
    type Item = anyhow::Result<Happening>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.lines.next()?;
        self.number += 1;
        let happening = line.map_err(Into::into).and_then(|text| self.read(&text));
        Some(happening.with_context(|| format!("line {}", self.number)))
    }
}
