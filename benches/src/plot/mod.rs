//! Plots for the reports, as SVG.

mod bars;
mod lines;

pub(crate) use self::bars::{Bar, Group, bars};
pub(crate) use self::lines::{Axis, Line, Panel, lines};

use crate::contenders::Role;

/// The colour of a contender; the same in every plot.
pub(crate) fn colour(name: &str, role: Role) -> &'static str {
    match (role, name) {
        (Role::Default, _) => "#1a56db",
        (Role::Timed, _) => "#5b8def",
        (Role::Ours, _) => "#93b4f5",
        (Role::Floor, _) => "#68d391",
        (_, "quick_cache" | "deadpool-redis" | "multi-tier-cache 0.6.9") => "#e67e22",
        (_, "moka") => "#2f9e44",
        (_, "mini-moka") => "#8ac926",
        (_, "foyer w-tinylfu" | "llm-edge-cache 0.1.0" | "hitbox 0.2.4") => "#9467bd",
        (_, "foyer s3fifo" | "llmix-rs 2.1.0" | "litellm-rs 0.4.16") => "#8c564b",
        (_, "foyer sieve") => "#e377c2",
        (_, "foyer lru") => "#c9a227",
        _ => "#7f7f7f",
    }
}

/// The head of a drawing, on white.
fn open(width: f64, height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    )
}

/// As text in a drawing.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
