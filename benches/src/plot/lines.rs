//! Lines over steps, in panels; each line is labelled where it ends.

use std::fmt::Write;

use super::{escaped, open};

const COLUMNS: usize = 2;
const PANEL: (f64, f64) = (590.0, 320.0);
const LEFT: f64 = 68.0;
const TOP: f64 = 34.0;
const PLOT: (f64, f64) = (310.0, 236.0);
/// Between two labels.
const LABEL: f64 = 14.0;

/// One line.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) values: Vec<f64>,
    pub(crate) colour: &'static str,
    /// Drawn thick, above the others.
    pub(crate) ours: bool,
    /// Drawn dashed: a bound, not a contender.
    pub(crate) bound: bool,
}

/// How values go up.
#[derive(Clone, Copy)]
pub(crate) enum Axis {
    /// From zero.
    Linear,
    /// From a power of ten.
    Logarithmic,
}

/// Lines over the same steps, evenly spaced whatever they stand for.
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) steps: Vec<String>,
    /// What a value is, e.g. %.
    pub(crate) unit: &'static str,
    pub(crate) axis: Axis,
    pub(crate) lines: Vec<Line>,
}

/// Draws the panels in two columns.
pub(crate) fn lines(panels: &[Panel]) -> String {
    let columns = panels.len().clamp(1, COLUMNS);
    let rows = panels.len().div_ceil(COLUMNS).max(1);
    let mut svg = open(columns as f64 * PANEL.0, rows as f64 * PANEL.1);
    for (number, panel) in panels.iter().enumerate() {
        let (x, y) = ((number % COLUMNS) as f64 * PANEL.0, (number / COLUMNS) as f64 * PANEL.1);
        let _ = writeln!(svg, "<g transform=\"translate({x:.0} {y:.0})\">");
        draw(&mut svg, panel);
        svg.push_str("</g>\n");
    }
    svg + "</svg>\n"
}

fn draw(svg: &mut String, panel: &Panel) {
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"20\" font-weight=\"bold\">{}</text>",
        escaped(&panel.title)
    );
    let ticks = ticks(panel);
    let (low, high) = (ticks[0], ticks[ticks.len() - 1]);
    let share = |value: f64| match panel.axis {
        Axis::Linear => (value - low) / (high - low),
        Axis::Logarithmic => (value.max(low) / low).log10() / (high / low).log10(),
    };
    let y = |value: f64| TOP + PLOT.1 * (1.0 - share(value));
    let last = panel.steps.len().saturating_sub(1).max(1) as f64;
    let x = |step: usize| LEFT + PLOT.0 * step as f64 / last;
    for &tick in &ticks {
        let at = y(tick);
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#e2e8f0\"/>\
             <text x=\"{text}\" y=\"{base:.1}\" text-anchor=\"end\" fill=\"#555\">{tick} {unit}</text>",
            right = LEFT + PLOT.0,
            text = LEFT - 5.0,
            base = at + 4.0,
            unit = panel.unit,
        );
    }
    for (step, name) in panel.steps.iter().enumerate() {
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" fill=\"#555\">{name}</text>",
            x = x(step),
            y = TOP + PLOT.1 + 18.0,
        );
    }
    let mut order: Vec<&Line> = panel.lines.iter().collect();
    order.sort_by_key(|line| line.ours);
    for line in &order {
        let points: Vec<_> = line
            .values
            .iter()
            .enumerate()
            .map(|(step, &value)| format!("{:.1},{:.1}", x(step), y(value)))
            .collect();
        let (width, dash) = match (line.ours, line.bound) {
            (true, _) => (3.5, ""),
            (_, true) => (1.5, " stroke-dasharray=\"5 4\""),
            _ => (1.5, ""),
        };
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{width}\"{dash}/>",
            points.join(" "),
            line.colour,
        );
    }
    let ends = panel.lines.iter().map(|line| line.values.last().map_or(0.0, |&value| y(value)));
    for (line, (end, label)) in panel.lines.iter().zip(spread(&ends.collect::<Vec<_>>())) {
        let weight = if line.ours { " font-weight=\"bold\"" } else { "" };
        let _ = writeln!(
            svg,
            "<polyline points=\"{x0:.1},{end:.1} {x1:.1},{label:.1}\" stroke=\"{colour}\" \
             stroke-width=\"0.7\" fill=\"none\"/><text x=\"{text:.1}\" y=\"{base:.1}\" \
             fill=\"{colour}\"{weight}>{name}</text>",
            x0 = LEFT + PLOT.0,
            x1 = LEFT + PLOT.0 + 16.0,
            text = LEFT + PLOT.0 + 19.0,
            base = label + 4.0,
            colour = line.colour,
            name = escaped(&line.name),
        );
    }
}

/// Round numbers around all values.
fn ticks(panel: &Panel) -> Vec<f64> {
    let values = panel.lines.iter().flat_map(|line| line.values.iter().copied());
    let (low, high) = values.fold((f64::MAX, f64::MIN_POSITIVE), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    match panel.axis {
        Axis::Linear => {
            let rough = high / 5.0;
            let power = 10_f64.powf(rough.log10().floor());
            let step = [1.0, 2.0, 5.0, 10.0].map(|times| times * power);
            let step = step.into_iter().find(|&step| step >= rough).unwrap_or(rough);
            (0_u8..=5)
                .map(|tick| f64::from(tick) * step)
                .filter(|tick| tick - high < step)
                .collect()
        }
        Axis::Logarithmic => {
            let mut ticks = vec![10_f64.powf(low.max(1e-9).log10().floor())];
            while ticks[ticks.len() - 1] < high {
                ticks.push(ticks[ticks.len() - 1] * 10.0);
            }
            ticks
        }
    }
}

/// Where each line ends, and where its label goes so that no two overlap.
fn spread(ends: &[f64]) -> Vec<(f64, f64)> {
    let mut order: Vec<usize> = (0..ends.len()).collect();
    order.sort_by(|&a, &b| ends[a].total_cmp(&ends[b]));
    let mut labels = vec![0.0; ends.len()];
    let mut above = f64::MIN;
    for &at in &order {
        above = ends[at].max(above + LABEL);
        labels[at] = above;
    }
    // Back up from the bottom of the plot.
    let mut below = TOP + PLOT.1 + LABEL;
    for &at in order.iter().rev() {
        below = labels[at].min(below - LABEL);
        labels[at] = below;
    }
    ends.iter().copied().zip(labels).collect()
}
