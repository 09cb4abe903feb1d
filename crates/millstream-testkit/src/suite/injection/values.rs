use bytes::Bytes;

use millstream_core::entry::{Entry, Fields};
use millstream_core::event::Json;
use millstream_core::name::EventType;
use millstream_core::store::{DeadLetterQuery, Store};

use super::corpus::{LONE, corpus, object, quoted};
use super::guarded::Guarded;
use super::things::{THINGS, consumer, named};
use crate::sample::entry_at;
use crate::suite::Site;
use crate::suite::store::event;

/// In columns of keys and others; and of what is not mapped, in what is kept of it.
pub async fn what_an_event_says_becomes_values<S: Site>() {
    let guarded = Guarded::<S>::make(THINGS).await;
    let (mut source, mut consumer) = consumer(&guarded.site).await;
    let mut expected = Vec::new();
    for (number, text) in corpus().iter().enumerate() {
        let Some(data) = object("name", text) else {
            continue;
        };
        let own = named("thing.set", text, number, data.as_str());
        let settled = consumer.settle(&[source.send(&own)]).await;
        if settled == "1 applied" {
            let (tenant, id) = (&own.tenant, &own.entity);
            expected.push(format!("{tenant}|{id}|{text}"));
        } else {
            assert_eq!(settled, "1 dead", "{text:?}");
            let fits = !text.contains('\0') && text.len() < 60_000;
            assert!(!fits, "{text:?} is a text like others");
        }
    }
    assert!(expected.len() > 40, "most of it is text");
    let mut found = guarded
        .site
        .rows("SELECT tenant_id, id, name FROM things")
        .await;
    found.sort();
    expected.sort();
    assert_eq!(found, expected);

    let mut types = Vec::new();
    for text in corpus() {
        if let Ok(event_type) = EventType::new(&text) {
            types.push(event_type.to_string());
            let own = event(event_type.as_str(), "acme", "skipped", "{}");
            assert_eq!(consumer.settle(&[source.send(&own)]).await, "1 skipped");
        }
    }
    let skipped = "SELECT event_type FROM event_tracking WHERE entity_id = 'skipped'";
    let mut found = guarded.site.rows(skipped).await;
    found.sort();
    types.sort();
    assert_eq!(found, types);
    guarded.assert_untouched().await;

    // And is found by them again.
    for (number, text) in corpus().iter().enumerate() {
        let mut left = named("thing.left", text, number, "{}");
        left.id = None;
        consumer.apply(&[source.send(&left)]).await.unwrap();
    }
    assert_eq!(guarded.site.rows("SELECT * FROM things").await, [""; 0]);
    guarded.assert_untouched().await;
}

/// Fields, and what could be read of them, of events that fail and of entries that are none.
pub async fn what_cannot_be_applied_is_kept_as_it_is<S: Site>() {
    let guarded = Guarded::<S>::make(THINGS).await;
    let (mut source, mut consumer) = consumer(&guarded.site).await;
    let mut entries: Vec<Entry> = Vec::new();
    for (number, text) in corpus().iter().enumerate() {
        let data = format!("{{\"name\":{0},\"age\":{0}}}", quoted(text));
        if let Ok(data) = Json::parse(data) {
            let own = named("thing.set", text, number, data.as_str());
            entries.push(source.send(&own));
        }
        entries.push(foreign(&source.send_broken(None), text));
    }
    for text in LONE {
        // Half a pair may be refused as JSON, or as a value.
        let mut fields = source.send(&event("thing.set", "acme", "lone", "{}"));
        fields.fields = replaced(&fields.fields, "eventData", text.replace("name", "age"));
        entries.push(fields);
    }
    for batch in entries.chunks(16) {
        let settled = consumer.apply(batch).await.unwrap();
        assert_eq!(settled.repeated, 0);
    }

    let query = DeadLetterQuery {
        limit: usize::MAX,
        ..DeadLetterQuery::default()
    };
    let letters = consumer.store.dead_letters(&query).await.unwrap();
    assert!(
        letters.len() > entries.len() - LONE.len(),
        "an age is a number"
    );
    for letter in &letters {
        let entry = entries.iter().find(|entry| entry.id == letter.entry);
        let entry = entry.expect("it was delivered");
        assert_eq!(letter.raw, entry.fields);
        let field = |name: &str| {
            let value = entry.fields.get(name)?;
            String::from_utf8(value.to_vec()).ok()
        };
        for (read, name) in [
            (&letter.event_id, "eventId"),
            (&letter.event_type, "eventType"),
            (&letter.tenant, "tenantId"),
            (&letter.key, "entityId"),
        ] {
            assert!(read.is_none() || *read == field(name), "{name}");
        }
        assert!(!letter.reason.contains("DROP TABLE"), "{}", letter.reason);
    }
    guarded.assert_untouched().await;
}

/// An entry that is no event, whose fields are anything.
fn foreign(entry: &Entry, text: &str) -> Entry {
    let mut fields = Fields::with_capacity(entry.fields.len() + 3);
    for (name, value) in entry.fields.iter() {
        fields.push(name.clone(), value.clone());
    }
    fields.push(text.to_owned(), text.to_owned());
    fields.push(
        [text.as_bytes(), b"\xff\xfe"].concat(),
        &b"\xc3\x28\x00'"[..],
    );
    entry_at(entry.id, replaced(&fields, "eventType", text.to_owned()))
}

/// Fields, with another value in the place of one.
fn replaced(fields: &Fields, name: &str, value: String) -> Fields {
    let mut replaced = Fields::with_capacity(fields.len());
    for (own, old) in fields.iter() {
        let new = match own.as_ref() == name.as_bytes() {
            true => Bytes::from(value.clone()),
            false => old.clone(),
        };
        replaced.push(own.clone(), new);
    }
    replaced
}
