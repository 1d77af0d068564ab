//! Names of models: by pattern, and whether two names are one model.

use std::collections::BTreeMap;

/// What `map` has for `model`: under that very name, else under the longest prefix, which ends with
/// an asterisk (`gpt-4o*`).
pub(crate) fn by_pattern<'m, T>(map: &'m BTreeMap<String, T>, model: &str) -> Option<&'m T> {
    if map.is_empty() {
        return None; // nearly always
    }
    if let Some(found) = map.get(model) {
        return Some(found);
    }
    let prefixes = map.iter().filter_map(|(name, value)| Some((name.strip_suffix('*')?, value)));
    let fitting = prefixes.filter(|(prefix, _)| model.starts_with(prefix));
    fitting.max_by_key(|(prefix, _)| prefix.len()).map(|(_, value)| value)
}

/// Whether an answer that names the model `answered` is one of the model `asked`.
///
/// Providers answer an alias with the dated name that it stands for, and gateways put the
/// provider's name in front. Nothing else is taken for the same: not another size, nor another date.
pub(crate) fn is_same(asked: &str, answered: &str) -> bool {
    if asked == answered {
        return true;
    }
    let (asked, answered) = match (asked.rsplit_once('/'), answered.rsplit_once('/')) {
        (Some((a, _)), Some((b, _))) if a != b => return false, // two providers
        (a, b) => (a.map_or(asked, |(_, name)| name), b.map_or(answered, |(_, name)| name)),
    };
    let (asked, asked_date) = undated(asked);
    let (answered, answered_date) = undated(answered);
    asked.eq_ignore_ascii_case(answered)
        && (asked_date.is_none() || answered_date.is_none() || asked_date == answered_date)
}

/// The name without the date or `latest` that it ends with, and the date.
pub(crate) fn undated(model: &str) -> (&str, Option<&str>) {
    for latest in ["-latest", ":latest"] {
        if let Some(name) = model.strip_suffix(latest) {
            return (name, None);
        }
    }
    // `-2024-08-06`, `-20240620`, `@20240620`, `-0613`.
    for (length, dashes) in [(10, true), (8, false), (4, false)] {
        let Some(at) = model.len().checked_sub(length) else { continue };
        let Some((name, date)) = model.split_at_checked(at) else { continue };
        let is_date = date.bytes().enumerate().all(|(at, byte)| {
            if dashes && (at == 4 || at == 7) { byte == b'-' } else { byte.is_ascii_digit() }
        });
        if is_date && let Some(name) = name.strip_suffix(['-', '@']) {
            return (name, Some(date));
        }
    }
    (model, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_exact_pattern_counts() {
        let map: BTreeMap<_, _> = [("gpt-4o", 1), ("gpt-4o*", 2), ("gpt-*", 3), ("*", 4)]
            .map(|(name, value)| (name.to_owned(), value))
            .into();
        let found = |model| by_pattern(&map, model).copied();
        assert_eq!(
            ["gpt-4o", "gpt-4o-mini", "gpt-5", "o3"].map(found),
            [Some(1), Some(2), Some(3), Some(4)]
        );
        assert_eq!(by_pattern(&BTreeMap::from([("a".to_owned(), 1)]), "ab"), None);
    }

    /// rivals.md, 1D line 12: an alias is its dated name, and a fallback is neither.
    #[test]
    fn aliases_are_not_fallbacks() {
        for (asked, answered) in [
            ("gpt-4o", "gpt-4o"),
            ("gpt-4o", "gpt-4o-2024-08-06"),
            ("gpt-4o-2024-08-06", "gpt-4o"),
            ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022"),
            ("claude-3-5-sonnet@20240620", "claude-3-5-sonnet-20240620"),
            ("gpt-4", "gpt-4-0613"),
            ("openai/gpt-4o", "gpt-4o-2024-08-06"),
            ("Llama-3", "meta/llama-3"),
        ] {
            assert!(is_same(asked, answered), "{asked} {answered}");
        }
        for (asked, answered) in [
            ("gpt-4o", "gpt-4o-mini"),
            ("gpt-4o", "gpt-4o-mini-2024-07-18"),
            ("gpt-4o-2024-05-13", "gpt-4o-2024-08-06"),
            ("gpt-4", "gpt-4.1"),
            ("gpt-4o", "claude-3-5-sonnet-20241022"),
            ("a/m", "b/m"),
            ("gpt-4o", ""),
        ] {
            assert!(!is_same(asked, answered), "{asked} {answered}");
        }
    }
}
