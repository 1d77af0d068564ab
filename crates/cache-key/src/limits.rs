//! [`ParseLimits`]: how far a parse goes.

/// Bounds on what a parse accepts. The length of a body is for whoever reads it to bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct ParseLimits {
    pub(crate) max_depth: usize,
}

impl ParseLimits {
    /// How deeply arrays and objects may be nested; the body itself is level 1. Default: 128, more
    /// than providers accept. No value of it can overflow the stack: nothing here recurses.
    pub const fn max_depth(mut self, levels: usize) -> Self {
        self.max_depth = levels;
        self
    }
}

impl Default for ParseLimits {
    fn default() -> Self {
        Self { max_depth: 128 }
    }
}
