//! [`Strategy`]: which tiers a cache uses, as configuration says it.

/// Which tiers a cache uses.
///
/// An unknown name in configuration is an error; there is no fallback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Strategy {
    /// This process's memory, and never the remote tier, even if there is one.
    Memory,
    /// Memory and the remote tier, which has to be configured.
    Redis,
    /// Memory, and the remote tier if one is configured; without one, a warning is logged.
    RedisOrMemory,
    /// Memory, and the remote tier if one is configured.
    #[default]
    Auto,
    /// None: the provider caches by itself. Every lookup is a miss and nothing is stored.
    Native,
    /// None: a gateway in front of the provider caches. Every lookup is a miss and nothing is stored.
    Gateway,
    /// None. Every lookup is a miss and nothing is stored.
    Disabled,
}

impl Strategy {
    /// Whether anything is looked up and stored at all.
    pub const fn caches(self) -> bool {
        !matches!(self, Self::Native | Self::Gateway | Self::Disabled)
    }

    /// Whether the remote tier is used if there is one.
    pub const fn is_remote(self) -> bool {
        matches!(self, Self::Redis | Self::RedisOrMemory | Self::Auto)
    }
}
