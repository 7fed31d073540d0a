//! The frontier as a drawing: a staircase, since between two points the cheaper one is the best
//! that its time buys.

use crate::model::units::{saturate, saturate_unsigned};
use crate::model::{Millis, Money};
use crate::planning::{Frontier, Point};
use crate::util::text::{Styles, clean};
use std::fmt::Write;

/// Sizes of the drawing, in pixels.
const WIDTH: i128 = 760;
const HEIGHT: i128 = 460;
const LEFT: i128 = 84;
const RIGHT: i128 = 48;
const TOP: i128 = 48;
const BOTTOM: i128 = 58;
/// Labels nearer to each other than this would cover each other.
const LABEL_WIDTH: i128 = 112;
const LABEL_HEIGHT: i128 = 15;
/// Distances between the marks of an axis: of time in seconds, of money in micro-USD.
const SECONDS: [i128; 20] = [
    1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200,
    86_400, 172_800, 432_000,
];
/// Most marks on an axis.
const MARKS: i128 = 8;

/// One axis: what is at its ends, and the marks between.
struct Axis {
    from: i128,
    to: i128,
    marks: Vec<i128>,
    /// Pixels at the ends.
    start: i128,
    end: i128,
}

impl Axis {
    /// Around `least..=most`, with a mark at every multiple of `step`.
    fn new(least: i128, greatest: i128, step: i128, (start, end): (i128, i128)) -> Self {
        let first_mark = least.div_euclid(step) * step;
        let last_mark = ((greatest + step - 1).div_euclid(step) * step).max(first_mark + step);
        let marks = (0..=(last_mark - first_mark) / step)
            .map(|index| first_mark + index * step)
            .collect();
        Self {
            from: first_mark,
            to: last_mark,
            marks,
            start,
            end,
        }
    }

    /// The pixel of a value.
    fn at(&self, value: i128) -> i128 {
        self.start + (value - self.from) * (self.end - self.start) / (self.to - self.from)
    }
}

/// The least of `steps` that makes few enough marks.
fn mark_step(span: i128, steps: impl Iterator<Item = i128>) -> i128 {
    let mut last_step = 1;
    for step in steps {
        last_step = step;
        if span / step < MARKS {
            break;
        }
    }
    last_step
}

/// The drawing as an SVG file.
pub fn svg(job: &str, frontier: &Frontier) -> String {
    let times = frontier.points.iter().map(time_of).collect::<Vec<_>>();
    let costs = frontier.points.iter().map(cost_of).collect::<Vec<_>>();
    let ((quick, slow), (cheap, dear)) = (axis_ends(&times), axis_ends(&costs));
    let days = (1..).map(|power| 864_000 * 10_i128.pow(power)).take(12);
    let seconds = mark_step((slow - quick) / 1000, SECONDS.into_iter().chain(days));
    let dollars = (0..16).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_i128.pow(power)));
    let money = mark_step(dear - cheap, dollars);
    let x = Axis::new(quick, slow, seconds * 1000, (LEFT, WIDTH - RIGHT));
    let y = Axis::new(cheap, dear, money, (HEIGHT - BOTTOM, TOP));
    let mut text = svg_head(job);
    text += &time_marks(&x, &y);
    text += &cost_marks(&x, &y, money);
    text += &both_axes(&x, &y);
    text += &curve_and_points(&frontier.points, &x, &y);
    text + "</svg>\n"
}

fn time_of(point: &Point) -> i128 {
    i128::from(point.figures.makespan.0)
}

fn cost_of(point: &Point) -> i128 {
    i128::from(point.figures.cost.0)
}

/// The least and the greatest value; a single value stands in the middle.
fn axis_ends(values: &[i128]) -> (i128, i128) {
    match (values.iter().min(), values.iter().max()) {
        (Some(least), Some(most)) if least < most => (*least, *most),
        (Some(only), _) => (only - only / 10, only + only / 10 + 1),
        _ => (0, 1),
    }
}

fn svg_head(job: &str) -> String {
    let job = escaped_text(job);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"#222\">\n\
         <title>Cost against makespan of {job}</title>\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"15\" font-weight=\"600\">{job}: what time costs</text>\n"
    )
}

/// The upright lines of the grid, and the times below them.
fn time_marks(x: &Axis, y: &Axis) -> String {
    let mut text = String::new();
    for mark in &x.marks {
        let (at, foot) = (x.at(*mark), y.start);
        text += &format!("<path d=\"M{at} {foot}V{TOP}\" stroke=\"#e4e4e4\"/>\n");
        text += &format!(
            "<text x=\"{at}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
            foot + 18,
            time_label(*mark)
        );
    }
    text
}

/// The level lines of the grid, and the costs to the left of them.
fn cost_marks(x: &Axis, y: &Axis, step: i128) -> String {
    let mut text = String::new();
    for mark in &y.marks {
        let (at, right) = (y.at(*mark), x.end);
        text += &format!("<path d=\"M{LEFT} {at}H{right}\" stroke=\"#e4e4e4\"/>\n");
        text += &format!(
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n",
            LEFT - 8,
            at + 4,
            cost_label(*mark, step)
        );
    }
    text
}

/// Both axes with what they measure.
fn both_axes(x: &Axis, y: &Axis) -> String {
    let (middle_x, middle_y) = ((x.start + x.end) / 2, (y.start + y.end) / 2);
    let (foot, right, below) = (y.start, x.end, HEIGHT - 14);
    format!(
        "<path d=\"M{LEFT} {TOP}V{foot}H{right}\" fill=\"none\" stroke=\"#222\"/>\n\
         <text x=\"{middle_x}\" y=\"{below}\" text-anchor=\"middle\">ends after</text>\n\
         <text x=\"18\" y=\"{middle_y}\" text-anchor=\"middle\" transform=\"rotate(-90 18 {middle_y})\">cost (US dollars)</text>\n"
    )
}

/// The staircase of the frontier, and a circle for each point; labels where there is room.
fn curve_and_points(points: &[Point], x: &Axis, y: &Axis) -> String {
    let mut text = format!(
        "<path d=\"{}\" fill=\"none\" stroke=\"#1f6feb\" stroke-width=\"2\"/>\n",
        staircase(points, x, y)
    );
    let mut labels: Vec<(i128, i128)> = Vec::new();
    for point in points {
        let (px, py) = (x.at(time_of(point)), y.at(cost_of(point)));
        text += &point_circle(point, px, py);
        let clear = |(lx, ly): &(i128, i128)| {
            (px - lx).abs() >= LABEL_WIDTH || (py - ly).abs() >= LABEL_HEIGHT
        };
        if labels.iter().all(clear) {
            labels.push((px, py));
            text += &point_label(point, px, py);
        }
    }
    text
}

/// A full circle for a proven point, an empty one for another.
fn point_circle(point: &Point, px: i128, py: i128) -> String {
    let (fill, proof) = match point.figures.proven {
        true => ("#1f6feb", "proven"),
        false => ("#fff", "not proven"),
    };
    let (cost, time) = (point.figures.cost, point.figures.makespan);
    format!(
        "<circle cx=\"{px}\" cy=\"{py}\" r=\"4\" fill=\"{fill}\" stroke=\"#1f6feb\" stroke-width=\"2\"><title>{cost}, {time}, {proof}</title></circle>\n"
    )
}

/// Cost and time to the right of the step, unless that is off the drawing.
fn point_label(point: &Point, px: i128, py: i128) -> String {
    let (at, anchor) = match px > WIDTH - RIGHT - LABEL_WIDTH {
        true => (px - 6, "end"),
        false => (px + 6, "start"),
    };
    format!(
        "<text x=\"{at}\" y=\"{}\" text-anchor=\"{anchor}\">{} · {}</text>\n",
        py - 7,
        point.figures.cost,
        point.figures.makespan
    )
}

/// From the fastest, down and to the right; it goes on to both edges.
fn staircase(points: &[Point], x: &Axis, y: &Axis) -> String {
    let mut path = String::new();
    for point in points.iter().rev() {
        let (px, py) = (
            x.at(i128::from(point.figures.makespan.0)),
            y.at(i128::from(point.figures.cost.0)),
        );
        let _ = match path.is_empty() {
            true => write!(path, "M{px} {TOP}V{py}"),
            false => write!(path, "H{px}V{py}"),
        };
    }
    let _ = write!(path, "H{}", x.end);
    path
}

fn time_label(milliseconds: i128) -> String {
    Millis(saturate_unsigned(milliseconds)).exact()
}

/// With as many decimals as the marks need.
fn cost_label(micro: i128, step: i128) -> String {
    let money = Money(saturate(micro));
    if step >= 10_000 || micro == 0 {
        money.to_string()
    } else {
        money.exact()
    }
}

fn escaped_text(text: &str) -> String {
    clean(text, Styles::Removed)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
