//! What went wrong, and what to do about it.

use std::fmt;

/// The result of a verb or one of its steps.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// A failed step with the next step for whoever reads it.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    next: String,
}

impl Failure {
    /// `what` failed; `next` is what to try, as a whole phrase.
    pub(crate) fn new(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { what: what.into(), next: next.into() }
    }

    /// The same failure with better advice.
    pub(crate) fn advise(mut self, next: impl Into<String>) -> Self {
        self.next = next.into();
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  next: {}", self.what, self.next)
    }
}
