//! Bars to the right, in groups that share an axis from zero.

use std::fmt::Write;

use super::{escaped, open};

const LEFT: f64 = 200.0;
const WIDTH: f64 = 440.0;
const LINE: f64 = 20.0;

/// One bar.
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) colour: &'static str,
}

/// Bars that are compared.
pub(crate) struct Group {
    pub(crate) title: String,
    pub(crate) bars: Vec<Bar>,
}

/// Draws the groups below one another.
pub(crate) fn bars(groups: &[Group]) -> String {
    let lines: usize = groups.iter().map(|group| group.bars.len() + 2).sum();
    let mut svg = open(LEFT + WIDTH + 70.0, lines as f64 * LINE + 6.0);
    let mut y = LINE;
    for group in groups {
        let title = escaped(&group.title);
        let _ = writeln!(svg, "<text x=\"8\" y=\"{y}\" font-weight=\"bold\">{title}</text>");
        y += 6.0;
        let longest = group.bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
        for bar in &group.bars {
            let width = WIDTH * bar.value.max(0.0) / longest;
            let _ = writeln!(
                svg,
                "<text x=\"8\" y=\"{text}\">{name}</text><rect x=\"{LEFT}\" y=\"{y}\" \
                 width=\"{width:.1}\" height=\"14\" fill=\"{colour}\"/><text x=\"{end:.1}\" \
                 y=\"{text}\">{value}</text>",
                text = y + 12.0,
                name = escaped(&bar.name),
                colour = bar.colour,
                end = LEFT + width + 4.0,
                value = shown(bar.value),
            );
            y += LINE;
        }
        y += 2.0 * LINE - 6.0;
    }
    svg + "</svg>\n"
}

fn shown(value: f64) -> String {
    if value < 20.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}
