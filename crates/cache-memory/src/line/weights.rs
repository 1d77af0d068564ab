//! [`Weights`]: what each entry of a shard weighs.

/// One number for all as long as it is the same for all, which it is where entries are counted and
/// not weighed.
#[derive(Debug)]
pub(super) enum Weights {
    Same(u64),
    Each(Vec<u64>),
}

impl Default for Weights {
    fn default() -> Self {
        Self::Same(0)
    }
}

impl Weights {
    #[inline]
    pub(super) fn get(&self, place: u32) -> u64 {
        match self {
            Self::Same(weight) => *weight,
            Self::Each(weights) => weights[place as usize],
        }
    }

    /// Sets the weight of a place; `places` is how many there are.
    #[inline]
    pub(super) fn set(&mut self, place: u32, weight: u64, places: usize) {
        if !matches!(self, Self::Same(same) if *same == weight) {
            self.set_another(place, weight, places);
        }
    }

    fn set_another(&mut self, place: u32, weight: u64, places: usize) {
        if let Self::Same(same) = self {
            if places == 1 {
                *same = weight; // nobody else's
                return;
            }
            *self = Self::Each(vec![*same; places]);
        }
        if let Self::Each(weights) = self {
            super::grow::reach(weights, place, 0);
            weights[place as usize] = weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_weights_take_no_memory_and_others_are_kept() {
        let mut weights = Weights::default();
        for place in 0..9 {
            weights.set(place, 7, place as usize + 1);
        }
        assert!(matches!(weights, Weights::Same(7)));
        weights.set(3, 8, 9);
        weights.set(9, 9, 10);
        assert_eq!(
            (0..10).map(|place| weights.get(place)).collect::<Vec<_>>(),
            [7, 7, 7, 8, 7, 7, 7, 7, 7, 9]
        );
    }
}
