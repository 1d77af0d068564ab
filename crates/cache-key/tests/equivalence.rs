//! Every text of one value gives one key; every other value gives another.

mod common;

use std::collections::BTreeMap;

use cache_key::{EndpointKind, KeyScope, Request, Tenant};
use common::{Choices, Json, Number, body, json, key, spell};
use proptest::prelude::*;

/// Changes one thing somewhere in `json`.
fn mutate(json: &mut Json, choices: &mut Choices) {
    let mut target = choices.below(count(json));
    let node = nth(json, &mut target).expect("the target is below the count");
    change(node, choices);
}

fn count(json: &Json) -> usize {
    1 + match json {
        Json::Array(items) => items.iter().map(count).sum(),
        Json::Object(members) => members.values().map(count).sum(),
        _ => 0,
    }
}

fn nth<'a>(json: &'a mut Json, left: &mut usize) -> Option<&'a mut Json> {
    if *left == 0 {
        return Some(json);
    }
    *left -= 1;
    match json {
        Json::Array(items) => items.iter_mut().find_map(|item| nth(item, left)),
        Json::Object(members) => members.values_mut().find_map(|value| nth(value, left)),
        _ => None,
    }
}

fn change(json: &mut Json, choices: &mut Choices) {
    match json {
        Json::Array(items) => change_array(items, choices),
        Json::Object(members) => {
            let names: Vec<String> = members.keys().cloned().collect();
            if choices.below(4) == 0 && hoist(members) {
                return;
            }
            match (choices.below(3), names.is_empty()) {
                (0, _) | (_, true) => {
                    members.insert(format!("added{}", choices.below(1000)), Json::Null);
                }
                (1, _) => {
                    members.remove(&names[choices.below(names.len())]);
                }
                (_, _) => {
                    let name = &names[choices.below(names.len())];
                    let value = members.remove(name).expect("it is one of the names");
                    members.insert(format!("{name}+"), value);
                }
            }
        }
        // The body itself must stay an object; everything below it may move a level down.
        other if choices.below(4) == 0 => *other = Json::Array(vec![other.clone()]),
        Json::Null => *json = Json::Bool(false),
        Json::Bool(value) => *value = !*value,
        Json::Number(number) => *number = another_number(number, choices),
        Json::String(string) => match (choices.below(3), string.is_empty()) {
            (0, _) | (_, true) => string.push(['a', '\0', '|', 'é', ' '][choices.below(5)]),
            (1, _) => drop(string.pop()),
            (_, _) => *json = Json::Object([(string.clone(), Json::Null)].into()),
        },
    }
}

/// Moves a member of an object within `members` up to them; whether there was one.
fn hoist(members: &mut BTreeMap<String, Json>) -> bool {
    let found = members.iter().find_map(|(name, value)| match value {
        Json::Object(inner) => {
            let free = inner.keys().find(|moved| !members.contains_key(*moved))?;
            Some((name.clone(), free.clone()))
        }
        _ => None,
    });
    let Some((name, moved)) = found else { return false };
    let Some(Json::Object(inner)) = members.get_mut(&name) else { return false };
    let value = inner.remove(&moved).expect("it is one of the names");
    members.insert(moved, value);
    true
}

fn change_array(items: &mut Vec<Json>, choices: &mut Choices) {
    let strings =
        |i: usize| matches!((&items[i], &items[i + 1]), (Json::String(_), Json::String(_)));
    if let Some(i) = (1..items.len()).map(|i| i - 1).find(|&i| strings(i))
        && choices.coin()
    {
        // The boundary between two strings moves: "ab", "c" -> "a", "bc".
        let (left, right) = items.split_at_mut(i + 1);
        if let (Json::String(a), Json::String(b)) = (&mut left[i], &mut right[0])
            && let Some(moved) = a.pop()
        {
            b.insert(0, moved);
        }
        return;
    }
    match (choices.below(3), items.len()) {
        (0, 1..) => drop(items.remove(choices.below(items.len()))),
        (1, 2..) => {
            let i = choices.below(items.len() - 1);
            items.swap(i, i + 1);
        }
        _ => items.push(Json::Null),
    }
}

fn another_number(number: &Number, choices: &mut Choices) -> Number {
    let digits = if number.digits.is_empty() { "1" } else { &number.digits };
    match choices.below(3) {
        0 => Number::new(!number.negative, digits, number.exponent),
        1 => Number::new(number.negative, digits, number.exponent + 1),
        _ => Number::new(number.negative, &format!("{digits}1"), number.exponent - 1),
    }
}

const KINDS: [EndpointKind; 7] = [
    EndpointKind::ChatCompletions,
    EndpointKind::Completions,
    EndpointKind::Responses,
    EndpointKind::Messages,
    EndpointKind::Embeddings,
    EndpointKind::Rerank,
    EndpointKind::Generic,
];

proptest! {
    #![proptest_config(common::config())]

    /// A1, A4, A13: member order, white space, escapes and number spelling do not matter.
    #[test]
    fn every_text_of_a_value_gives_one_key(body in body(), one: u64, two: u64) {
        let (one, two) = (spell(&body, &mut Choices(one)), spell(&body, &mut Choices(two)));
        for kind in KINDS {
            prop_assert_eq!(key(kind, &one), key(kind, &two), "{:?}: {} {}", kind, one, two);
        }
    }

    /// A2, A8, A9: any single change gives another key. By `Generic`, where nothing is left out.
    #[test]
    fn every_change_gives_another_key(body in body(), seed: u64) {
        let mut choices = Choices(seed);
        let mut changed = body.clone();
        mutate(&mut changed, &mut choices);
        let (one, two) = (spell(&body, &mut choices), spell(&changed, &mut choices));
        let equal = key(EndpointKind::Generic, &one) == key(EndpointKind::Generic, &two);
        prop_assert_eq!(equal, body == changed, "{} {}", one, two);
    }

    /// The same of chat requests, under the members that rules do not name.
    #[test]
    fn every_change_of_a_schema_gives_another_key(schema in json(), seed: u64) {
        let mut choices = Choices(seed);
        let mut changed = schema.clone();
        mutate(&mut changed, &mut choices);
        // One level down: a null directly under `tools` is one of the declared equivalences.
        let request = |schema: &str| format!(r#"{{"model":"m","tools":[{schema}],"messages":[]}}"#);
        let (one, two) = (request(&spell(&schema, &mut choices)), request(&spell(&changed, &mut choices)));
        let equal = key(EndpointKind::ChatCompletions, &one) == key(EndpointKind::ChatCompletions, &two);
        prop_assert_eq!(equal, schema == changed, "{} {}", one, two);
    }

    /// Two independent values share a digest only if they are equal, and so do their parts.
    #[test]
    fn digests_are_of_values(one in body(), two in body(), seed: u64) {
        let mut choices = Choices(seed);
        let texts = [spell(&one, &mut choices), spell(&two, &mut choices)];
        let parse = |text: &str| Request::parse(EndpointKind::Generic, text.as_bytes()).map(|request| request.body().digest());
        prop_assert_eq!(parse(&texts[0]) == parse(&texts[1]), one == two);
    }

    /// A6: whatever the bytes, there is a key or a reason; never a panic.
    #[test]
    fn any_bytes_are_met(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let scope = KeyScope::new(Tenant::Shared);
        for kind in KINDS {
            let _ = Request::parse(kind, &bytes).map(|request| request.key(&scope));
        }
    }

    /// The same of texts that are JSON but for one byte.
    #[test]
    fn almost_json_is_met(body in body(), seed: u64, byte: u8) {
        let mut choices = Choices(seed);
        let mut text = spell(&body, &mut choices).into_bytes();
        let at = choices.below(text.len());
        if choices.coin() { text[at] = byte } else { text.truncate(at) }
        let scope = KeyScope::new(Tenant::Shared);
        for kind in KINDS {
            let _ = Request::parse(kind, &text).map(|request| request.key(&scope));
        }
    }
}
