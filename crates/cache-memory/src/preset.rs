//! [`Preset`]: bounds and times that go together.

use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Bounds and times that go together, to begin from.
///
/// | | entries | weight | time to live | time to idle |
/// |---|---|---|---|---|
/// | `Default` | 10,000 | 64 MiB | 1 h | 15 min |
/// | `Aggressive` | 100,000 | 1 GiB | 24 h | none |
/// | `Conservative` | 1,000 | 16 MiB | 5 min | 1 min |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Preset {
    /// For a gateway among other services of a machine.
    #[default]
    Default,
    /// Keeps much, for long: for a machine whose memory is for caching.
    Aggressive,
    /// Keeps little, and briefly: answers change often, or memory is short.
    Conservative,
}

pub(crate) struct Settings {
    pub(crate) max_entries: u64,
    pub(crate) max_weight: u64,
    pub(crate) time_to_live: Duration,
    pub(crate) time_to_idle: Option<Duration>,
}

impl Preset {
    pub(crate) const fn settings(self) -> Settings {
        match self {
            Self::Default => Settings {
                max_entries: 10_000,
                max_weight: 64 << 20,
                time_to_live: HOUR,
                time_to_idle: Some(Duration::from_secs(15 * 60)),
            },
            Self::Aggressive => Settings {
                max_entries: 100_000,
                max_weight: 1 << 30,
                time_to_live: Duration::from_secs(24 * 60 * 60),
                time_to_idle: None,
            },
            Self::Conservative => Settings {
                max_entries: 1_000,
                max_weight: 16 << 20,
                time_to_live: Duration::from_secs(5 * 60),
                time_to_idle: Some(MINUTE),
            },
        }
    }
}
