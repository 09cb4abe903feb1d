//! What a person may have meant.

/// The nearest of the known names, if it is near at all.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let far = name.chars().count().max(3) / 3;
    known
        .map(|candidate| (distance(&plain(name), &plain(candidate)), candidate))
        .filter(|&(distance, _)| distance <= far)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// "did you mean" and a list, as far as there is anything to say.
pub(super) fn help<'a>(
    what: &str,
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Option<String> {
    let list: Vec<&str> = known.clone().collect();
    let list = match list.len() {
        0 => return None,
        _ => format!("{what}: {}", list.join(", ")),
    };
    Some(match nearest(name, known) {
        Some(near) => format!("did you mean `{near}`? {list}"),
        None => list,
    })
}

/// `tenantId`, `tenant_id` and `TENANT_ID` are one word spelled three ways.
fn plain(name: &str) -> Vec<char> {
    name.chars()
        .filter(|&c| c != '_')
        .flat_map(char::to_lowercase)
        .collect()
}

/// Levenshtein's distance.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
