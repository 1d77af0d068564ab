//! What stands for [`KeyRing`] without the feature `encryption`: a type with no values, so that the
//! code around it is the same with and without.

use cache_core::{CacheKey, Tags};

use super::{Undecodable, Unencodable};

/// There is none.
#[derive(Clone, Debug)]
pub(crate) enum KeyRing {}

/// There is none.
pub(crate) enum Sealer {}

impl KeyRing {
    pub(crate) fn accepts_plain(&self) -> bool {
        match *self {}
    }

    pub(super) fn sealer(&self, _: &CacheKey, _: &Tags) -> Result<Sealer, Unencodable> {
        match *self {}
    }

    pub(super) fn open(&self, _: &CacheKey, _: &[u8], _: usize) -> Result<Vec<u8>, Undecodable> {
        match *self {}
    }
}

impl Sealer {
    pub(super) fn seal(self, _: &CacheKey, _: &[u8], _: &mut Vec<u8>) -> Result<(), Unencodable> {
        match self {}
    }
}
