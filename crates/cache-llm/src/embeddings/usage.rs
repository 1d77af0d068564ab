//! What is said of many items, shared out among them, and summed up again.

use crate::members::{Members, name};

/// The part of `usage` that falls to each item, by size.
///
/// Of one item it is all of it. Of more, each whole number is divided so that the parts add up to it
/// exactly; other members, of which nobody can say whose they are, fall to nobody.
pub(super) fn divide(usage: &str, sizes: &[u64]) -> Vec<String> {
    if let [_] = sizes {
        return vec![usage.to_owned()];
    }
    let Some(members) = Members::parse(usage) else { return vec![String::new(); sizes.len()] };
    let all: u128 = sizes.iter().copied().map(u128::from).sum::<u128>().max(1);
    let mut before = 0_u128; // bodies have less than 4 GiB, so products fit
    let part_of = |size: &u64| {
        let (from, to) = (before, before + u128::from(*size));
        before = to;
        let mut part = String::from("{");
        for (member, value) in members.iter() {
            if let Ok(whole) = value.parse::<u64>() {
                let until = |end: u128| u128::from(whole) * end / all;
                name(&mut part, member);
                part.push_str(&(until(to) - until(from)).to_string());
            }
        }
        part.push('}');
        part
    };
    sizes.iter().map(part_of).collect()
}

/// All of them together: the whole numbers that each has. `None` if there are none.
pub(super) fn sum<'a>(usages: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let usages: Vec<&str> = usages.into_iter().collect();
    if let [usage] = usages[..] {
        return (!usage.is_empty()).then(|| usage.to_owned());
    }
    let usages: Vec<Members<'_>> = usages.into_iter().map(Members::parse).collect::<Option<_>>()?;
    let mut out = String::from("{");
    for (member, _) in usages.first()?.iter() {
        let whole = |usage: &Members<'_>| usage.get(member)?.parse::<u64>().ok();
        let sum = usages.iter().try_fold(0_u64, |sum, usage| sum.checked_add(whole(usage)?));
        if let Some(sum) = sum {
            name(&mut out, member);
            out.push_str(&sum.to_string());
        }
    }
    out.push('}');
    (out != "{}").then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up() {
        let usage = r#"{"prompt_tokens":7,"total_tokens":8,"details":{"a":1},"cost":0.5}"#;
        assert_eq!(divide(usage, &[3]), [usage]);
        let parts = divide(usage, &[1, 1, 1, 4]);
        assert_eq!(parts[3], r#"{"prompt_tokens":4,"total_tokens":5}"#);
        let all = sum(parts.iter().map(String::as_str));
        assert_eq!(all.unwrap(), r#"{"prompt_tokens":7,"total_tokens":8}"#);
        assert_eq!(divide("", &[1, 2]), ["", ""]);
        assert_eq!(sum([r#"{"a":1}"#, ""]), None);
        assert_eq!(sum([usage]).unwrap(), usage);
    }

    /// Lists of tokens: what the provider counts is their length, so the parts are exact.
    #[test]
    fn tokens_are_counted_exactly() {
        let parts = divide(r#"{"prompt_tokens":6}"#, &[1, 2, 3]);
        let counted =
            [r#"{"prompt_tokens":1}"#, r#"{"prompt_tokens":2}"#, r#"{"prompt_tokens":3}"#];
        assert_eq!(parts, counted);
    }

    proptest::proptest! {
        #[test]
        fn any_parts_add_up(whole in 0_u64.., sizes in proptest::collection::vec(0_u64..1 << 32, 1..20)) {
            let usage = format!(r#"{{"n":{whole}}}"#);
            let parts = divide(&usage, &sizes);
            if sizes.iter().any(|size| *size > 0) {
                proptest::prop_assert_eq!(sum(parts.iter().map(String::as_str)).unwrap(), usage);
            }
        }
    }
}
