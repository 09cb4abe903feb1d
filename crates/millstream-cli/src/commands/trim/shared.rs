use millstream::core::entry::EntryId;
use millstream::core::error::Error;
use millstream::core::name::{AppName, StreamName};
use millstream::{Config, Transport};

/// A group of a shared stream, or an application that is going to be one.
#[derive(Debug)]
pub(in crate::commands) struct Reader {
    pub(in crate::commands) name: AppName,
    pub(in crate::commands) last_delivered: EntryId,
    pub(in crate::commands) pending: u64,
    /// Entries that were not handed to it yet; none where it has never asked for any.
    pub(in crate::commands) lag: Option<u64>,
    /// Everything below this is settled.
    pub(in crate::commands) needs: EntryId,
}

impl Reader {
    /// Everybody who may still need something of the stream: groups, whoever they belong to, and
    /// subscribers that are configured and have not begun.
    pub(in crate::commands) async fn all(
        config: &Config,
        transport: &Transport,
        stream: &StreamName,
    ) -> Result<Vec<Self>, Error> {
        let mut readers = Vec::new();
        for group in transport.queue.groups(stream).await? {
            let next = group.last_delivered.after();
            let next = next.unwrap_or(group.last_delivered);
            let oldest = match group.pending {
                0 => Vec::new(),
                _ => {
                    let queue = &transport.queue;
                    queue.pending(stream, &group.name, EntryId::ZERO, 1).await?
                }
            };
            readers.push(Self {
                name: group.name,
                last_delivered: group.last_delivered,
                pending: group.pending,
                lag: Some(group.lag),
                needs: oldest.first().map_or(next, |oldest| oldest.id.min(next)),
            });
        }
        let subscribes = config
            .apps
            .values()
            .filter(|app| app.subscribes().contains(stream));
        for app in subscribes {
            if readers.iter().all(|reader| reader.name != *app.name()) {
                readers.push(Self {
                    name: app.name().clone(),
                    last_delivered: EntryId::ZERO,
                    pending: 0,
                    lag: None,
                    needs: EntryId::ZERO,
                });
            }
        }
        readers.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(readers)
    }
}

/// Why nothing goes from a shared stream that has entries; none of them is `below` what all need.
pub(super) fn keeps(held_by: &[AppName], below: Option<EntryId>) -> String {
    let names: Vec<_> = held_by.iter().map(AppName::as_str).collect();
    let names = names.join(", ");
    match below {
        None if names.is_empty() => "nobody has followed it yet".into(),
        None => format!("nothing of it was read yet by {names}"),
        Some(below) => format!("what is from {below} on is not settled by {names}"),
    }
}
