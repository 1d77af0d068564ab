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
/// The `index` of an item is one of so many members at its begin: all items are asked for theirs.
const INDEX_AMONG: usize = 8;

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
    has_room(whole)?;
    has_room(&part)?;
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

/// Whether these are few enough to be put together of parts.
pub(super) fn has_room(members: &[(Cow<'_, str>, Json<'_>)]) -> Result<(), NotTranscodable> {
    if members.len() > MOST { Err(NotTranscodable::Unexpected) } else { Ok(()) }
}

/// Where a text is within an object, by names and indexes.
pub(super) type Path<'a> = Vec<Step<'a>>;

#[derive(Clone)]
pub(super) enum Step<'a> {
    /// Into the member of that name.
    Member(Cow<'a, str>),
    /// Into the item of that `index`.
    Item(usize),
}

/// If `part`, joined once more, would change nothing but append one text again: that text, and where it
/// is appended.
pub(super) fn fragment<'a>(
    part: &[(Cow<'a, str>, Json<'a>)],
    rules: fn(&str) -> Rule,
) -> Option<(Path<'a>, &'a str)> {
    let (mut path, mut found) = (Path::new(), None);
    let only = find_fragment(part, rules, &mut path, &mut found);
    found.filter(|_| only)
}

/// False if there is anything else that is not the same when it is joined once more.
fn find_fragment<'a>(
    part: &[(Cow<'a, str>, Json<'a>)],
    rules: fn(&str) -> Rule,
    path: &mut Path<'a>,
    found: &mut Option<(Path<'a>, &'a str)>,
) -> bool {
    part.iter().all(|(name, value)| {
        path.push(Step::Member(name.clone()));
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

/// The way along `path`, by places: nobody has to be looked for on it.
pub(super) fn places(whole: &[(Cow<'_, str>, Json<'_>)], path: &[Step<'_>]) -> Option<Vec<usize>> {
    let (Step::Member(first), rest) = path.split_first()? else { return None };
    let place = position(whole, first)?;
    let (mut at, mut places) = (&whole[place].1, vec![place]);
    for step in rest {
        let place = match (step, at) {
            (Step::Member(name), Json::Object(members)) => {
                let place = position(members, name)?;
                at = &members[place].1;
                place
            }
            (Step::Item(number), Json::Array(items)) => {
                let place = items.iter().position(|item| index(item) == Some(*number))?;
                at = &items[place];
                place
            }
            _ => return None,
        };
        places.push(place);
    }
    Some(places)
}

/// The text at the end of a way, if there is one.
pub(super) fn text_at<'w>(
    whole: &'w mut Object<'static>,
    places: &[usize],
) -> Option<&'w mut String> {
    let (&first, rest) = places.split_first()?;
    let mut at = &mut whole.get_mut(first)?.1;
    for &place in rest {
        at = match at {
            Json::Object(members) => &mut members.get_mut(place)?.1,
            Json::Array(items) => items.get_mut(place)?,
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
        Rule::ByIndex(rules) => {
            check_indexes(&part)?;
            if let Json::Array(items) = part {
                if items.len() > MOST {
                    return Err(NotTranscodable::Unexpected);
                }
                let items = items.into_iter().map(|item| first(item, Rule::Within(rules)));
                return Ok(Json::Array(items.collect::<Result<_, _>>()?));
            }
        }
        Rule::Within(rules) => {
            if let Json::Object(members) = part {
                let mut whole = Object::with_capacity(members.len());
                merge(&mut whole, members, rules)?;
                return Ok(Json::Object(whole));
            }
        }
        // More parts of these would be joined member by member.
        Rule::Once | Rule::Single if !has_few_members(&part) => {
            return Err(NotTranscodable::Unexpected);
        }
        _ => {}
    }
    Ok(part.into_owned())
}

fn has_few_members(json: &Json<'_>) -> bool {
    json.as_object().is_none_or(|members| {
        members.len() <= MOST && members.iter().all(|(_, value)| has_few_members(value))
    })
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
        (rule, whole, part) if whole.is_unset() => *whole = first(part, rule)?,
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
    let mut members = item.as_object()?.iter().take(INDEX_AMONG);
    members.find(|(name, _)| name == "index")?.1.as_index()
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
