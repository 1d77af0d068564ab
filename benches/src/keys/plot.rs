//! The plot of the report: bars on a logarithmic axis, as SVG.

use std::fmt::Write;

use super::{Report, Role};

const LEFT: f64 = 210.0;
const WIDTH: f64 = 440.0;
const LINE: f64 = 20.0;

/// One group of bars a body: time as a multiple of ours.
pub(crate) fn bars(report: &Report) -> String {
    let lines: usize = report.tables.iter().map(|table| table.rows.len() + 2).sum();
    let height = lines as f64 * LINE + 10.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" \
         fill=\"white\"/>\n",
        LEFT + WIDTH + 90.0
    );
    // From a tenth to a hundred times.
    let x = |times: f64| LEFT + WIDTH * (times.max(0.1).log10() + 1.0) / 3.0;
    let mut y = LINE;
    for table in &report.tables {
        let _ = writeln!(svg, "<text x=\"8\" y=\"{y}\" font-weight=\"bold\">{}</text>", table.body);
        y += 6.0;
        for row in &table.rows {
            let fill = match row.role {
                Role::Ours => "#2b6cb0",
                Role::Rival => "#a0aec0",
                Role::Floor => "#68d391",
            };
            let end = x(row.times_ours);
            let _ = writeln!(
                svg,
                "<text x=\"8\" y=\"{text}\">{name}</text><rect x=\"{LEFT}\" y=\"{y}\" \
                 width=\"{width:.1}\" height=\"14\" fill=\"{fill}\"/><text x=\"{label:.1}\" \
                 y=\"{text}\">{times:.1}×, {us:.1} µs</text>",
                text = y + 12.0,
                name = row.contender,
                width = end - LEFT,
                label = end + 4.0,
                times = row.times_ours,
                us = row.us,
            );
            y += LINE;
        }
        y += 2.0 * LINE - 6.0;
    }
    svg + "</svg>\n"
}
