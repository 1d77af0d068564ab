//! Joining the parts that a stream sends of one object.
//!
//! A member is joined by a rule that its dialect gives for its name. Where two parts say different
//! things and no rule says how they belong together, the answer is not transcodable: a guess would
//! be a wrong answer.

use std::borrow::Cow;

use super::NotTranscodable;
use crate::json::{Json, Object, position};

/// More members of one object, or items of one array, are not put together of parts: each part would be
/// compared with all of them, and no answer has so many.
const MOST: usize = 1024;

/// How the parts of one member make a whole. Null adds nothing to what is there.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    /// It belongs to the transport.
    Drop,
    /// Said once, or said again the same; an empty string may still be filled. Objects are joined
    /// member by member.
    Once,
    /// Said once. A string said twice may be a constant or two fragments that are alike.
    Single,
    /// The first part that is not zero counts.
    First,
    /// The last part counts.
    Last,
    /// Fragments of one text.
    Text,
    /// Fragments of base64, which can be joined only where none but the last has padding.
    Base64,
    /// More items of one array.
    Append,
    /// Parts of items, told apart by their `index`.
    ByIndex(fn(&str) -> Rule),
    /// An object whose members have rules of their own.
    Within(fn(&str) -> Rule),
}

/// Joins the members of one more part into `whole`.
pub(super) fn merge(
    whole: &mut Object<'static>,
    part: Object<'_>,
    rules: fn(&str) -> Rule,
) -> Result<(), NotTranscodable> {
    if whole.len().max(part.len()) > MOST {
        return Err(NotTranscodable::Unexpected);
    }
    for (name, value) in part {
        let rule = rules(&name);
        if matches!(rule, Rule::Drop) {
            continue;
        }
        if let Some(at) = position(whole, &name) {
            join(&mut whole[at].1, value, rule)?;
        } else if whole.len() == MOST {
            return Err(NotTranscodable::Unexpected);
        } else {
            let value = first(value, rule)?;
            whole.push((Cow::Owned(name.into_owned()), value));
        }
    }
    Ok(())
}

/// Where a text is within an object.
pub(super) type Path = Vec<Step>;

#[derive(Clone)]
pub(super) enum Step {
    /// Into the member of that name.
    Member(Box<str>),
    /// Into the item of that `index`.
    Item(usize),
}

/// If `part`, joined once more, would change nothing but append one text again: that text, and where it
/// is appended.
pub(super) fn fragment<'a>(
    part: &[(Cow<'a, str>, Json<'a>)],
    rules: fn(&str) -> Rule,
) -> Option<(Path, &'a str)> {
    let (mut path, mut found) = (Path::new(), None);
    let only = find_fragment(part, rules, &mut path, &mut found);
    found.filter(|_| only)
}

/// False if there is anything else that is not the same when it is joined once more.
fn find_fragment<'a>(
    part: &[(Cow<'a, str>, Json<'a>)],
    rules: fn(&str) -> Rule,
    path: &mut Path,
    found: &mut Option<(Path, &'a str)>,
) -> bool {
    part.iter().all(|(name, value)| {
        path.push(Step::Member((**name).into()));
        let same = match (rules(name), value) {
            (Rule::Drop | Rule::Once | Rule::First | Rule::Last, _) | (_, Json::Bare(_)) => true,
            (_, value) if value.is_unset() => true,
            (Rule::Text, Json::Text(Cow::Borrowed(text))) => {
                found.replace((path.clone(), *text)).is_none()
            }
            (Rule::Within(rules), Json::Object(part)) => find_fragment(part, rules, path, found),
            (Rule::ByIndex(rules), Json::Array(items)) => items.iter().all(|item| {
                let (Some(index), Some(part)) = (index(item), item.as_object()) else {
                    return false;
                };
                path.push(Step::Item(index));
                let same = find_fragment(part, rules, path, found);
                path.pop();
                same
            }),
            _ => false,
        };
        path.pop();
        same
    })
}

/// The text at the end of `path`, if there is one.
pub(super) fn text_at<'w>(whole: &'w mut Object<'static>, path: &[Step]) -> Option<&'w mut String> {
    let (Step::Member(first), rest) = path.split_first()? else { return None };
    let mut at = &mut whole.iter_mut().find(|(name, _)| **name == **first)?.1;
    for step in rest {
        at = match (step, at) {
            (Step::Member(name), Json::Object(members)) => {
                &mut members.iter_mut().find(|(known, _)| **known == **name)?.1
            }
            (Step::Item(number), Json::Array(items)) => {
                items.iter_mut().find(|item| index(item) == Some(*number))?
            }
            _ => return None,
        };
    }
    match at {
        Json::Text(text) => Some(text.to_mut()),
        _ => None,
    }
}

/// The first part of a member.
fn first(part: Json<'_>, rule: Rule) -> Result<Json<'static>, NotTranscodable> {
    match rule {
        Rule::ByIndex(_) => check_indexes(&part)?,
        Rule::Within(rules) => {
            if let Json::Object(members) = part {
                let mut whole = Object::with_capacity(members.len());
                merge(&mut whole, members, rules)?;
                return Ok(Json::Object(whole));
            }
        }
        _ => {}
    }
    Ok(part.into_owned())
}

/// One more part of a member.
fn join(whole: &mut Json<'static>, part: Json<'_>, rule: Rule) -> Result<(), NotTranscodable> {
    if part.is_null() {
        return Ok(());
    }
    if whole.is_null() {
        *whole = first(part, rule)?;
        return Ok(());
    }
    match (rule, &mut *whole, part) {
        (Rule::Last, whole, part) => *whole = part.into_owned(),
        (Rule::First, Json::Bare(number), part) if number == "0" => *whole = part.into_owned(),
        (Rule::First, ..) => {}
        (Rule::Text, Json::Text(text), Json::Text(more)) => text.to_mut().push_str(&more),
        (Rule::Base64, Json::Text(text), Json::Text(more)) => {
            if !text.is_empty()
                && !more.is_empty()
                && (text.len() % 4 != 0 || text.ends_with('=') || text.contains('\\'))
            {
                return Err(NotTranscodable::Ambiguous);
            }
            text.to_mut().push_str(&more);
        }
        (Rule::Append, Json::Array(items), Json::Array(more)) => {
            items.extend(more.into_iter().map(Json::into_owned));
        }
        (Rule::ByIndex(rules), Json::Array(items), Json::Array(more)) => {
            for item in more {
                join_item(items, item, rules)?;
            }
        }
        (Rule::Within(rules), Json::Object(members), Json::Object(more)) => {
            merge(members, more, rules)?;
        }
        (_, Json::Object(members), Json::Object(more)) => {
            let once: fn(&str) -> Rule = |_| Rule::Once;
            let single: fn(&str) -> Rule = |_| Rule::Single;
            let again = matches!(rule, Rule::Once);
            merge(members, more, if again { once } else { single })?;
        }
        (_, whole, part) if whole.is_unset() => *whole = part.into_owned(),
        (_, _, part) if part.is_unset() => {}
        (Rule::Once, whole, part) if *whole == part => {}
        (_, Json::Bare(whole), Json::Bare(part)) if *whole == part => {}
        _ => return Err(NotTranscodable::Ambiguous),
    }
    Ok(())
}

fn join_item(
    items: &mut Vec<Json<'static>>,
    item: Json<'_>,
    rules: fn(&str) -> Rule,
) -> Result<(), NotTranscodable> {
    if items.len() > MOST {
        return Err(NotTranscodable::Unexpected);
    }
    let index = index(&item).ok_or(NotTranscodable::Ambiguous)?;
    // An item without an index, beside one that has it, could be any of them.
    if items.iter().any(|known| self::index(known).is_none()) {
        return Err(NotTranscodable::Ambiguous);
    }
    let known = items.iter_mut().find(|known| self::index(known) == Some(index));
    if let Some(Json::Object(whole)) = known {
        return merge(whole, item.into_object().ok_or(NotTranscodable::Ambiguous)?, rules);
    }
    if items.len() == MOST {
        return Err(NotTranscodable::Unexpected);
    }
    items.push(first(item, Rule::Within(rules))?);
    Ok(())
}

pub(super) fn index(item: &Json<'_>) -> Option<usize> {
    item.get("index")?.as_index()
}

/// Refuses an array of which two items have one index.
pub(super) fn check_indexes(items: &Json<'_>) -> Result<(), NotTranscodable> {
    let mut indexes: Vec<_> =
        items.as_array().unwrap_or_default().iter().filter_map(index).collect();
    indexes.sort_unstable();
    if indexes.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(NotTranscodable::Ambiguous);
    }
    Ok(())
}
