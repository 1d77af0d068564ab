//! Members of an object: their order, and whether a name comes twice.

use crate::scan::STEP;
use crate::tape::Tape;

/// A member to be sorted: the first bytes of its name decide most comparisons.
#[derive(Clone, Copy)]
pub(crate) struct Named {
    pub(crate) prefix: u64,
    pub(crate) node: u32,
}

/// The first eight bytes of `name`, or all of it and zeros, as a number that sorts as they do.
pub(crate) fn prefix(name: &[u8]) -> u64 {
    let mut eight = [0; 8];
    let len = name.len().min(8);
    eight[..len].copy_from_slice(&name[..len]);
    u64::from_be_bytes(eight)
}

/// The same of the name `step[..len]`: what stands behind it is read with it and masked.
#[inline]
pub(crate) fn prefix_of_step(step: &[u8; STEP], len: usize) -> u64 {
    let eight: &[u8; 8] = step.first_chunk().expect("a step is longer");
    let behind = if len < 8 { u64::MAX >> (8 * len) } else { 0 };
    u64::from_be_bytes(*eight) & !behind
}

/// Takes the names from `names` on off their list and appends their nodes, sorted by name, to the
/// order; if two are the same, the node of the second one in the text.
pub(crate) fn sort(tape: &mut Tape<'_>, names: usize) -> Result<(), u32> {
    let arrays = &mut *tape.arrays;
    let members = &arrays.names[names..];
    if members.is_sorted_by(|a, b| a.prefix < b.prefix) {
        arrays.order.extend(members.iter().map(|member| member.node));
    } else if members.is_sorted_by(|a, b| a.prefix > b.prefix) {
        arrays.order.extend(members.iter().rev().map(|member| member.node));
    } else {
        return sort_any(tape, names);
    }
    arrays.names.truncate(names);
    Ok(())
}

/// The same of names in any order, and of those that begin alike.
#[inline(never)]
fn sort_any(tape: &mut Tape<'_>, names: usize) -> Result<(), u32> {
    let mut list = std::mem::take(&mut tape.arrays.names);
    let members = &mut list[names..];
    members.sort_unstable_by_key(|member| member.prefix);
    for alike in members.chunk_by_mut(|a, b| a.prefix == b.prefix) {
        if alike.len() > 1 {
            let name = |member: &Named| tape.bytes(member.node);
            alike.sort_unstable_by(|a, b| name(a).cmp(name(b)));
            if let Some(pair) = alike.windows(2).find(|pair| name(&pair[0]) == name(&pair[1])) {
                return Err(pair[0].node.max(pair[1].node));
            }
        }
    }
    tape.arrays.order.extend(members.iter().map(|member| member.node));
    list.truncate(names);
    tape.arrays.names = list;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands behind a name is not part of its prefix, and prefixes sort as names do.
    #[test]
    fn prefixes_sort_as_names() {
        let all = *b"abcdefgh\"\xffjklmno";
        let mut last = None;
        for len in 0..=STEP {
            let prefix = prefix_of_step(&all, len);
            assert_eq!(prefix, super::prefix(&all[..len]));
            assert_eq!(last < Some(prefix), len <= 8);
            last = Some(prefix);
        }
    }
}
