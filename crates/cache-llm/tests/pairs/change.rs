//! One difference, of whatever kind, anywhere in a request.

use fastrand::Rng;

use crate::json::{Json, number, text};
use crate::requests::{any_number, anything, words};

/// What changes only how an answer travels: documented not to count.
const TRANSPORT: [&str; 4] = ["stream", "stream_options", "request_id", "encoding_format"];

/// Makes one change in one place. It may happen to change nothing.
pub(crate) fn change(body: &mut Json, rng: &mut Rng) {
    let places = count(body, true);
    let mut place = rng.usize(..places);
    let found = find(body, true, &mut place).expect("there are that many places");
    change_here(found, rng);
}

/// In how many places a change can be made.
fn count(value: &Json, is_body: bool) -> usize {
    1 + match value {
        Json::List(items) => items.iter().map(|item| count(item, false)).sum(),
        Json::Object(members) => members
            .iter()
            .filter(|(name, _)| !(is_body && TRANSPORT.contains(&name.as_str())))
            .map(|(_, value)| count(value, false))
            .sum(),
        _ => 0,
    }
}

fn find<'v>(value: &'v mut Json, is_body: bool, place: &mut usize) -> Option<&'v mut Json> {
    if *place == 0 {
        return Some(value);
    }
    *place -= 1;
    match value {
        Json::List(items) => items.iter_mut().find_map(|item| find(item, false, place)),
        Json::Object(members) => members
            .iter_mut()
            .filter(|(name, _)| !(is_body && TRANSPORT.contains(&name.as_str())))
            .find_map(|(_, value)| find(value, false, place)),
        _ => None,
    }
}

fn change_here(value: &mut Json, rng: &mut Rng) {
    // Now and then, something else altogether.
    if rng.u8(0..12) == 0 {
        match value {
            Json::Object(members) if members.iter().any(|(name, _)| name == "model") => {}
            _ => {
                *value = match (rng.u8(0..4), &*value) {
                    (0, _) => Json::Null,
                    (1, value) => Json::List(vec![value.clone()]),
                    (2, Json::Number(number)) => text(number.as_str()),
                    _ => anything(rng, 1),
                };
                return;
            }
        }
    }
    match value {
        Json::Null => *value = anything(rng, 1),
        Json::Bool(yes) => *yes = !*yes,
        Json::Number(number) => change_number(number, rng),
        Json::Text(text) => change_text(text, rng),
        Json::List(items) => change_list(items, rng),
        Json::Object(members) => change_object(members, rng),
    }
}

fn change_number(known: &mut String, rng: &mut Rng) {
    match rng.u8(0..4) {
        // In the last place, far beyond what a float holds.
        0 if !known.contains(['e', 'E']) => {
            known.push_str(if known.contains('.') { "" } else { ".0" });
            known.push_str("0000000000000000000000001");
        }
        1 if known.starts_with('-') => {
            known.remove(0);
        }
        1 => known.insert(0, '-'),
        2 if !known.contains(['e', 'E']) => known.push_str("e1"),
        _ => {
            let Json::Number(other) = any_number(rng) else { unreachable!("it is a number") };
            *known = other;
        }
    }
}

fn change_text(known: &mut String, rng: &mut Rng) {
    let mut characters: Vec<char> = known.chars().collect();
    let at = rng.usize(0..=characters.len());
    match rng.u8(0..6) {
        0 if at < characters.len() => {
            characters.remove(at);
        }
        1 if at < characters.len() => {
            let character = characters[at];
            characters.insert(at, character);
        }
        2 if at + 1 < characters.len() => characters.swap(at, at + 1),
        3 if at < characters.len() && characters[at].is_ascii_alphabetic() => {
            characters[at] = if characters[at].is_ascii_lowercase() {
                characters[at].to_ascii_uppercase()
            } else {
                characters[at].to_ascii_lowercase()
            };
        }
        4 if at < characters.len() => characters[at] = rng.char(..),
        _ => {
            let more = words(rng, 2);
            characters.splice(at..at, more.chars());
        }
    }
    *known = characters.into_iter().collect();
}

fn change_list(items: &mut Vec<Json>, rng: &mut Rng) {
    let at = rng.usize(0..=items.len());
    match rng.u8(0..4) {
        0 if at < items.len() => {
            items.remove(at);
        }
        1 if at < items.len() => {
            let item = items[at].clone();
            items.insert(at, item);
        }
        2 if at + 1 < items.len() => items.swap(at, at + 1),
        _ => items.insert(at, anything(rng, 1)),
    }
}

fn change_object(members: &mut Vec<(String, Json)>, rng: &mut Rng) {
    let mut free = Vec::new();
    for (at, (name, _)) in members.iter().enumerate() {
        if !TRANSPORT.contains(&name.as_str()) {
            free.push(at);
        }
    }
    let any = |rng: &mut Rng| free.get(rng.usize(..free.len().max(1))).copied();
    match (rng.u8(0..4), any(rng)) {
        (0, Some(at)) => {
            members.remove(at);
        }
        (1, Some(at)) => {
            let mut name = members[at].0.clone();
            change_text(&mut name, rng);
            if members.iter().all(|(known, _)| *known != name) {
                members[at].0 = name;
            }
        }
        (2, Some(at)) => {
            let other = any(rng).expect("there is one");
            let value = members[at].1.clone();
            let value = std::mem::replace(&mut members[other].1, value);
            members[at].1 = value;
        }
        _ => {
            let name = format!("x_{}", rng.u8(..));
            if members.iter().all(|(known, _)| *known != name) {
                let value = if rng.bool() { number(0) } else { anything(rng, 1) };
                members.push((name, value));
            }
        }
    }
}
