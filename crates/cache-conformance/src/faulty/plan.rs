//! [`FaultPlan`]: which call meets which fault, by a seed.

use std::time::Duration;

/// Draws a fault for every call: the n-th call of a [`FaultyTier`](crate::FaultyTier) meets the same
/// one whenever the plan is the same, however calls interleave.
///
/// Each kind of fault has a share of the calls, from 0 to 1; shares add up, and what they leave is left
/// alone.
///
/// ```
/// use cache_conformance::{Fault, FaultPlan};
///
/// let plan = FaultPlan::new(7).fail(0.2).corrupt(0.1);
/// let drawn: Vec<Fault> = (0..1_000).map(|call| plan.fault_of(call)).collect();
/// let failing = drawn.iter().filter(|fault| **fault == Fault::Fail).count();
/// assert!((150..250).contains(&failing));
/// assert_eq!(plan.fault_of(3), drawn[3]);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct FaultPlan {
    seed: u64,
    shares: Vec<(Fault, f64)>,
    longest_delay: Duration,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing unusual.
    None,
    /// It fails without reaching the tier.
    Fail,
    /// It reaches the tier, and its reply is lost: it fails all the same.
    LoseReply,
    /// It takes its time.
    Delay,
    /// It never ends; whoever waits for it gives up at some time.
    Hang,
    /// A value that it reads has lost its end.
    Truncate,
    /// A value that it reads has a flipped bit.
    Corrupt,
    /// It times out at once, and a write takes effect later: after the next calls.
    Late,
}

impl FaultPlan {
    /// A plan without faults.
    pub fn new(seed: u64) -> Self {
        Self { seed, shares: Vec::new(), longest_delay: Duration::ZERO }
    }

    /// This share of the calls fails: [`Fault::Fail`].
    pub fn fail(self, share: f64) -> Self {
        self.with(Fault::Fail, share)
    }

    /// This share of the calls loses its reply: [`Fault::LoseReply`].
    pub fn lose_replies(self, share: f64) -> Self {
        self.with(Fault::LoseReply, share)
    }

    /// This share of the calls is delayed, by up to `longest`: [`Fault::Delay`].
    pub fn delay(mut self, share: f64, longest: Duration) -> Self {
        self.longest_delay = longest;
        self.with(Fault::Delay, share)
    }

    /// This share of the calls hangs: [`Fault::Hang`].
    pub fn hang(self, share: f64) -> Self {
        self.with(Fault::Hang, share)
    }

    /// This share of the calls reads values cut short: [`Fault::Truncate`].
    pub fn truncate(self, share: f64) -> Self {
        self.with(Fault::Truncate, share)
    }

    /// This share of the calls reads damaged values: [`Fault::Corrupt`].
    pub fn corrupt(self, share: f64) -> Self {
        self.with(Fault::Corrupt, share)
    }

    /// This share of the calls is out of order: [`Fault::Late`].
    pub fn reorder(self, share: f64) -> Self {
        self.with(Fault::Late, share)
    }

    fn with(mut self, fault: Fault, share: f64) -> Self {
        self.shares.push((fault, share));
        self
    }

    /// What the call of this number meets.
    #[must_use]
    pub fn fault_of(&self, call: u64) -> Fault {
        let mut drawn = self.share(call, 0);
        for &(fault, share) in &self.shares {
            if drawn < share {
                return fault;
            }
            drawn -= share;
        }
        Fault::None
    }

    /// How long it is delayed, if it is.
    pub(super) fn delay_of(&self, call: u64) -> Duration {
        self.longest_delay.mul_f64(self.share(call, 1))
    }

    /// A number below `bound`, which is not 0.
    pub(super) fn pick(&self, call: u64, bound: usize) -> usize {
        let drawn = usize::try_from(self.draw(call, 2) >> 1).unwrap_or(usize::MAX);
        drawn % bound
    }

    /// From 0 (included) to 1 (excluded).
    fn share(&self, call: u64, what: u64) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "53 bits are exact in an f64")]
        let numerator = (self.draw(call, what) >> 11) as f64;
        numerator / 9_007_199_254_740_992.0
    }

    /// `SplitMix64` (Steele, Lea and Flood, 2014).
    fn draw(&self, call: u64, what: u64) -> u64 {
        let step = call.wrapping_mul(4).wrapping_add(what + 1);
        let mut mixed = self.seed.wrapping_add(step.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
