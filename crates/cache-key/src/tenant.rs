//! [`Tenant`]: whose answers a key can reach.

use std::fmt;

use crate::sink::Sink;

/// Whose answers a key can reach. It has no default: sharing between callers is a decision, to be
/// spelled out.
///
/// No two different tenants share a key, whatever their names: `Named("")`, [`Tenant::Anonymous`]
/// and [`Tenant::Shared`] are three tenants.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Tenant {
    /// Everyone: whoever sends the same request gets the same answer.
    Shared,
    /// Callers without a credential, among themselves.
    Anonymous,
    /// A tenant by a name that is not secret, such as an organisation's id. It shows in `Debug`:
    /// for an API key there is [`Tenant::credential`].
    Named(String),
    /// The holder of a credential, known by its digest. See [`Tenant::credential`].
    Credential(CredentialDigest),
}

impl Tenant {
    /// The holder of `secret`: an API key or the value of an `Authorization` header. Only a digest
    /// of it is kept.
    pub fn credential(secret: &[u8]) -> Self {
        Self::Credential(CredentialDigest(blake3::derive_key(
            "cache-key 2026 Tenant::credential v1",
            secret,
        )))
    }

    /// The tenant called `name`.
    pub fn named(name: impl Into<String>) -> Self {
        Self::Named(name.into())
    }

    /// A digest of the tenant, for what is kept by tenant beside keys, such as tags to invalidate by.
    /// No two tenants have the same, and no credential can be read from it.
    pub fn digest(&self) -> [u8; 32] {
        // As with keys, each kind has a byte of its own before what it holds.
        let mut hash = blake3::Hasher::new_keyed(b"cache-key 2026 Tenant::digest v1");
        match self {
            Self::Shared => hash.update(&[0]),
            Self::Anonymous => hash.update(&[1]),
            Self::Named(name) => hash.update(&[2]).update(name.as_bytes()),
            Self::Credential(digest) => hash.update(&[3]).update(&digest.0),
        };
        *hash.finalize().as_bytes()
    }

    /// Writes a tag, and what it is followed by, so that no tenant can imitate another.
    pub(crate) fn write(&self, out: &mut impl Sink) {
        match self {
            Self::Shared => out.put(&[0]),
            Self::Anonymous => out.put(&[1]),
            Self::Named(name) => {
                out.put(&[2]);
                out.put_frame(name.as_bytes());
            }
            Self::Credential(digest) => {
                out.put(&[3]);
                out.put(&digest.0);
            }
        }
    }
}

/// The digest of a credential. `Debug` does not show it: a short credential could be guessed and
/// checked against it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CredentialDigest([u8; 32]);

impl fmt::Debug for CredentialDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}
