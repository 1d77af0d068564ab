//! How the arrays beside the map grow: by a 32nd, where `Vec` would double.
//!
//! They exist once for every entry, so half of one being empty would be a good part of what an
//! entry costs. Each element is still moved a constant number of times on average.

/// Makes `places` reach `place`, new ones being `empty`.
#[inline]
pub(crate) fn reach<T: Clone>(places: &mut Vec<T>, place: u32, empty: T) {
    let wanted = place as usize + 1;
    if wanted > places.len() {
        grow_to(places, wanted, empty);
    }
}

#[cold]
fn grow_to<T: Clone>(places: &mut Vec<T>, wanted: usize, empty: T) {
    make_room(places, wanted);
    places.resize(wanted, empty);
}

/// Puts one more element at the end.
pub(super) fn push<T>(places: &mut Vec<T>, element: T) {
    let wanted = places.len() + 1;
    make_room(places, wanted);
    places.push(element);
}

/// Makes room for `wanted` elements in all.
fn make_room<T>(places: &mut Vec<T>, wanted: usize) {
    if wanted > places.capacity() {
        let spare = (places.len() / 32).max(8);
        places.reserve_exact(wanted - places.len() + spare);
    }
}
