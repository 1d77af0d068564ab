//! [`Known`]: which records of one hash have the key that is looked for.

use triomphe::Arc;

use super::{Stored, Table, in_table};
use crate::record::{Handle, Record};

/// What was found out about records of one hash, by comparing keys while nothing is locked.
///
/// A writer locks the shard; if it sees a record of its hash that it does not know yet, it unlocks,
/// gets to know it, and begins again. Two keys of one hash are rare, so most writers know nobody,
/// and those that overwrite one record.
pub(super) struct Known<K, V> {
    same: Option<Handle<K, V>>,
    others: Vec<Handle<K, V>>,
}

impl<K, V> Known<K, V> {
    pub(super) fn nobody() -> Self {
        Self { same: None, others: Vec::new() }
    }

    pub(super) fn knows(&self, record: &Arc<Record<K, V>>) -> bool {
        let it = |known: &Handle<K, V>| Arc::ptr_eq(&known.0, record);
        self.same.as_ref().is_some_and(it) || self.others.iter().any(it)
    }

    /// Whether there is a record of a hash in a table that is not known.
    #[inline]
    pub(super) fn any_stranger(&self, table: &Table<K, V>, hash: u32) -> bool {
        let stranger =
            |(Stored(record), _): &(Stored<K, V>, _)| record.hash == hash && !self.knows(record);
        table.get(in_table(hash), stranger).is_some()
    }

    /// All of them: in one pass, however many there are.
    pub(super) fn strangers(&self, table: &Table<K, V>, hash: u32) -> Vec<Handle<K, V>> {
        let mut strangers = Vec::new();
        let _none = table.get(in_table(hash), |(Stored(record), _)| {
            if record.hash == hash && !self.knows(record) {
                strangers.push(Handle(Arc::clone(record)));
            }
            false
        });
        strangers
    }

    /// Gets to know records, by comparing their keys with one. Runs the keys' `Eq`, and perhaps drops
    /// a record.
    #[cold]
    pub(super) fn meet_all(&mut self, records: Vec<Handle<K, V>>, key: &K)
    where
        K: Eq,
    {
        for record in records {
            self.meet(record, |other| other == key);
        }
    }

    /// Gets to know a record. Runs the keys' `Eq`, and perhaps drops a record.
    pub(super) fn meet(&mut self, record: Handle<K, V>, is_key: impl FnOnce(&K) -> bool) {
        if is_key(record.key()) {
            self.same = Some(record);
        } else {
            self.others.push(record);
        }
    }

    /// The record of the key that was met last: the one in the map, if any of that key is.
    pub(super) fn same(&self) -> Option<&Handle<K, V>> {
        self.same.as_ref()
    }
}
