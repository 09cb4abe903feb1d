//! `[streams.NAME]`: how a stream is kept.

use std::collections::BTreeMap;

use millstream_core::limits::SHARDS_MAX;
use millstream_core::name::StreamName;
use millstream_engine::relay::StreamOptions;

use crate::app::SHARDS_DEFAULT;
use crate::config::check::Checker;
use crate::config::file;

pub(super) fn read(
    sections: file::Table<file::Stream>,
    checker: &mut Checker<'_>,
) -> BTreeMap<StreamName, StreamOptions> {
    let mut streams = BTreeMap::new();
    for (name, section) in sections {
        let Some(name) = checker.take(name.span(), StreamName::new(name.get_ref())) else {
            continue;
        };
        let mut stream = StreamOptions::new(name.clone(), SHARDS_DEFAULT);
        if let Some(shards) = section.shards {
            if !(1..=SHARDS_MAX).contains(shards.get_ref()) {
                let message = format!("shards go from 1 to {SHARDS_MAX}");
                checker.find(shards.span(), message, None);
            }
            stream.shards = shards.into_inner();
        }
        if let Some(text) = section.retention {
            stream.retention = checker.duration(&text).unwrap_or(stream.retention);
        }
        if let Some(margin) = section.replay_margin {
            stream.replay_margin = margin;
        }
        streams.insert(name, stream);
    }
    streams
}
