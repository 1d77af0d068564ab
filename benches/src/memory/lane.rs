//! One contender with its keys, and the loops that are timed.

use std::sync::Arc;

use super::Value;
use crate::contenders::{Contender, Recipe, Role};
use crate::turns::{Run, together};

/// What a thread does with its sequence of keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// Look up what is stored.
    Hits,
    /// Look up, and store what was missing.
    ReadThrough,
}

/// A contender with keys of whatever type it takes.
pub(super) trait Lane: Sync {
    fn contender(&self) -> &'static str;
    fn role(&self) -> Role;
    /// What its keys are.
    fn key(&self) -> &'static str;
    /// A thread for each sequence.
    fn run(&self, load: Load, sequences: &[&[u32]]) -> Run;
}

struct Of<K> {
    name: &'static str,
    role: Role,
    key: &'static str,
    contender: Box<dyn Contender<K, Value>>,
    // The lanes share these: they take turns, and so all find the same values in the same places.
    keys: Arc<[K]>,
    values: Arc<[Value]>,
}

/// A lane for each recipe; with `filled`, every key is stored.
pub(super) fn lanes<K: Clone + Send + Sync + 'static>(
    recipes: Vec<Recipe<K, Value>>,
    capacity: usize,
    (key, keys): (&'static str, &Arc<[K]>),
    values: &Arc<[Value]>,
    filled: bool,
) -> Vec<Box<dyn Lane>> {
    let lane = |recipe: Recipe<K, Value>| -> Box<dyn Lane> {
        let contender = (recipe.build)(capacity);
        if filled {
            contender.insert_all(keys.iter().cloned().zip(values.iter().cloned()).collect());
        }
        let (keys, values) = (keys.clone(), values.clone());
        Box::new(Of { name: recipe.name, role: recipe.role, key, contender, keys, values })
    };
    recipes.into_iter().map(lane).collect()
}

impl<K: Clone + Send + Sync> Lane for Of<K> {
    fn contender(&self) -> &'static str {
        self.name
    }

    fn role(&self) -> Role {
        self.role
    }

    fn key(&self) -> &'static str {
        self.key
    }

    fn run(&self, load: Load, sequences: &[&[u32]]) -> Run {
        let contender = &*self.contender;
        together(sequences, |sequence| match load {
            Load::Hits => contender.look_up_all(&self.keys, sequence),
            Load::ReadThrough => contender.read_through(&self.keys, &self.values, sequence),
        })
    }
}
