//! CloudEvents 1.0, as one JSON document or one field for each attribute.

use bytes::Bytes;
use uuid::Uuid;

use super::draft::Draft;
use crate::limits::ID_BYTES_MAX;
use crate::name::AppName;
use crate::wire::field;

/// The namespace of event ids made of source and id. Part of the wire: never changes.
const SOURCE_NAMESPACE: Uuid = Uuid::from_u128(0x6d69_6c6c_7374_4265_8d77_6972_6531_0002);

pub(super) fn fits(draft: &Draft) -> bool {
    draft.has("specversion")
}

pub(super) fn translate(draft: &mut Draft) -> Result<(), String> {
    if draft.text("specversion") != Some("1.0") {
        return Err("field specversion is not 1.0".into());
    }
    if let Some(id) = id_of(draft) {
        draft.put(field::EVENT_ID, id.into());
    }
    if let Some(name) = draft.text("source").and_then(application_of) {
        let name = Bytes::copy_from_slice(name.as_bytes());
        draft.put(field::SOURCE, name);
    } else {
        draft.put(
            field::SOURCE,
            Bytes::from_static(crate::wire::SOURCE_DEFAULT.as_bytes()),
        );
    }
    draft.rename("type", field::EVENT_TYPE);
    draft.rename("entityid", field::ENTITY);
    draft.rename("subject", field::ENTITY);
    draft.rename("tenantid", field::TENANT);
    draft.rename("targetapplication", field::TARGET);
    draft.rename("time", field::TIMESTAMP);
    draft.rename("data", field::DATA);
    Ok(())
}

/// CloudEvents ids are unique within their source only, and ours everywhere: a UUID is both.
fn id_of(draft: &Draft) -> Option<String> {
    let (id, source) = (draft.text("id")?, draft.text("source").unwrap_or_default());
    if Uuid::try_parse(id).is_ok() {
        return Some(id.to_owned());
    }
    let joined = format!("{source}#{id}");
    if joined.len() <= ID_BYTES_MAX {
        return Some(joined);
    }
    Some(Uuid::new_v5(&SOURCE_NAMESPACE, joined.as_bytes()).to_string())
}

/// The application of a source such as `crm`, `/crm/users` or `https://crm.example.com/users`.
fn application_of(source: &str) -> Option<&str> {
    let path = source.split_once("://").map_or(source, |(_, path)| path);
    let name = path.trim_start_matches('/').split('/').next()?;
    AppName::new(name).is_ok().then_some(name)
}
