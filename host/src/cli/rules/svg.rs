//! Timelines as a picture: a row for each, a bar for each interval, a time axis below and a legend above.
//!
//! One SVG of its own, without scripts, fonts or anything from elsewhere. It is readable on light and on dark
//! paper: the page around it, or the system, says which. Every text is escaped.

use std::fmt::Write as _;

/// Width of the picture.
const WIDTH: f64 = 1000.0;
/// Where bars begin and end; labels stand left of them.
const LEFT: f64 = 300.0;
const RIGHT: f64 = 985.0;
/// From the top to the first row: title and legend.
const TOP: f64 = 64.0;
/// Of a row, and of the bar in it.
const ROW: f64 = 22.0;
const BAR: f64 = 14.0;
/// Between two alerts.
const GAP: f64 = 10.0;
/// Below the last row: the axis.
const BOTTOM: f64 = 34.0;
/// Bars are at least so wide: what lasted a moment is to be seen.
const LEAST: f64 = 1.5;
/// Characters of a label at the left; there is no room for more.
const LABEL: usize = 44;
/// Ticks of the axis are not closer than this.
const TICK: f64 = 95.0;
/// Between two ticks, in seconds: what people count in.
const STEPS: [u64; 16] =
    [1, 5, 15, 30, 60, 300, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800];

/// A picture.
pub(super) struct Chart {
    pub(super) title: String,
    /// Unix time in nanoseconds; the picture goes from here
    pub(super) from: u64,
    /// to here, which is later.
    pub(super) to: u64,
    /// Rows that belong together stand close.
    pub(super) groups: Vec<Vec<Row>>,
}

/// A timeline.
pub(super) struct Row {
    pub(super) label: String,
    /// Whether it stands back, as what there is already does beside what is new.
    pub(super) is_faint: bool,
    pub(super) bars: Vec<Bar>,
}

/// An interval. Those of a row do not overlap.
pub(super) struct Bar {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) is_firing: bool,
    /// Shown when one points at it.
    pub(super) hint: String,
}

const STYLE: &str = "\
svg{--text:#1c2733;--faint:#5b6875;--line:#d5dbe1;--pending:#d99a00;--firing:#c62f3b;--paper:#ffffff;\
font:13px system-ui,sans-serif}\
@media(prefers-color-scheme:dark){svg{--text:#e8edf2;--faint:#9aa7b4;--line:#3a444e;--pending:#f0b93a;\
--firing:#ff6b6f;--paper:#12171c}}\
text{fill:var(--text)}.faint{fill:var(--faint)}.title{font-weight:600;font-size:15px}\
line{stroke:var(--line)}.paper{fill:var(--paper)}\
.pending{fill:var(--pending)}.firing{fill:var(--firing)}.back{fill-opacity:.55}";

/// Draws it.
pub(super) fn draw(chart: &Chart) -> String {
    let rows: usize = chart.groups.iter().map(Vec::len).sum();
    let height = TOP + rows as f64 * ROW + chart.groups.len() as f64 * GAP + BOTTOM;
    let mut out = String::new();
    // Writing to a string cannot fail, here and below.
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\">\n<style>{STYLE}</style>\n<title>{title}</title>\n\
         <rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\"/>\n\
         <text class=\"title\" x=\"15\" y=\"26\">{title}</text>\n",
        title = escaped(&chart.title),
    );
    legend(&mut out);
    axis(&mut out, chart, height);
    let mut top = TOP;
    for group in &chart.groups {
        for row in group {
            self::row(&mut out, chart, row, top);
            top += ROW;
        }
        top += GAP;
    }
    out.push_str("</svg>\n");
    out
}

fn legend(out: &mut String) {
    for (x, class, word) in [(LEFT, "pending", "pending"), (LEFT + 95.0, "firing", "firing")] {
        let _ = writeln!(
            out,
            "<rect class=\"{class}\" x=\"{x}\" y=\"38\" width=\"14\" height=\"14\" rx=\"2\"/>\
             <text x=\"{}\" y=\"50\">{word}</text>",
            x + 20.0
        );
    }
}

fn row(out: &mut String, chart: &Chart, row: &Row, top: f64) {
    let (base, label) = (top + ROW * 0.7, shortened(&row.label));
    let _ = writeln!(
        out,
        "<text{class} x=\"15\" y=\"{base:.1}\">{short}<title>{label}</title></text>\
         <line x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{below:.1}\" y2=\"{below:.1}\"/>",
        class = if row.is_faint { " class=\"faint\"" } else { "" },
        short = escaped(&label),
        label = escaped(&row.label),
        below = top + ROW - 2.0,
    );
    let mut free = LEFT;
    for bar in &row.bars {
        // A bar that is made wider than its time moves the next one: they never cover each other.
        let start = position(chart, bar.from).min(RIGHT - LEAST).max(free);
        let end = position(chart, bar.to).max(start + LEAST).min(RIGHT.max(start));
        free = end;
        let _ = writeln!(
            out,
            "<rect class=\"{state}{back}\" x=\"{start:.2}\" y=\"{y:.1}\" width=\"{width:.2}\" height=\"{BAR}\" \
             rx=\"1.5\"><title>{hint}</title></rect>",
            state = if bar.is_firing { "firing" } else { "pending" },
            back = if row.is_faint { " back" } else { "" },
            y = top + (ROW - BAR) / 2.0 - 1.0,
            width = end - start,
            hint = escaped(&bar.hint),
        );
    }
}

fn axis(out: &mut String, chart: &Chart, height: f64) {
    let seconds = (chart.to.saturating_sub(chart.from) as f64 / 1e9).max(1.0);
    let least = seconds * TICK / (RIGHT - LEFT);
    let longest = STEPS[STEPS.len() - 1];
    let step = STEPS.into_iter().find(|step| *step as f64 >= least);
    // Beyond weeks: whole numbers of them.
    let step = step.unwrap_or_else(|| longest * (least / longest as f64).ceil() as u64);
    let (first, last) = (chart.from.div_ceil(1_000_000_000).next_multiple_of(step), chart.to / 1_000_000_000);
    let mut tick = first;
    while tick <= last {
        let x = position(chart, tick.saturating_mul(1_000_000_000));
        let _ = writeln!(
            out,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{}\"/>\
             <text class=\"faint\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            TOP - 4.0,
            height - BOTTOM + 4.0,
            height - 12.0,
            clock(tick, step),
        );
        tick += step;
    }
}

/// Where a time lies, from left to right.
fn position(chart: &Chart, time: u64) -> f64 {
    let length = chart.to.saturating_sub(chart.from).max(1) as f64;
    let behind = time.clamp(chart.from, chart.to.max(chart.from)) - chart.from;
    LEFT + (RIGHT - LEFT) * behind as f64 / length
}

/// The time of day, or the date where days are counted; UTC.
fn clock(seconds: u64, step: u64) -> String {
    let (day, of_day) = (seconds / 86_400, seconds % 86_400);
    let time = format!("{:02}:{:02}", of_day / 3600, of_day / 60 % 60);
    match (step, of_day) {
        (86_400.., _) | (3600.., 0) => {
            let (month, date) = month_and_day(day);
            format!("{month:02}-{date:02}")
        }
        (60.., _) => time,
        _ => format!("{time}:{:02}", of_day % 60),
    }
}

/// Of a day counted from 1970-01-01, in the Gregorian calendar (after H. Hinnant's `civil_from_days`).
fn month_and_day(day: u64) -> (u64, u64) {
    let of_era = (day + 719_468) % 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    (if month < 10 { month + 3 } else { month - 9 }, of_year - (153 * month + 2) / 5 + 1)
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LABEL) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// Text for XML. Characters that XML cannot hold become the sign for one that cannot be shown.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' | '\r' => escaped.push(' '),
            control if control.is_control() || matches!(control, '\u{fffe}' | '\u{ffff}') => {
                escaped.push('\u{fffd}');
            }
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    /// 2024-02-29 12:00 UTC.
    const NOON: u64 = 1_709_208_000 * SECOND;

    fn chart(label: &str, hours: u64, bars: &[(u64, u64)]) -> Chart {
        let bar = |(from, to): &(u64, u64)| Bar {
            from: NOON + from * SECOND,
            to: NOON + to * SECOND,
            is_firing: from % 2 == 0,
            hint: label.to_owned(),
        };
        let row = |is_faint| Row { label: label.to_owned(), is_faint, bars: bars.iter().map(bar).collect() };
        Chart {
            title: label.to_owned(),
            from: NOON,
            to: NOON + hours * 3600 * SECOND,
            groups: vec![vec![row(false), row(true)]],
        }
    }

    /// The numbers of an attribute in the bars.
    fn numbers(svg: &str, attribute: &str) -> Vec<f64> {
        let bars = svg.lines().filter(|line| {
            line.starts_with("<rect class=\"firing") || line.starts_with("<rect class=\"pending")
        });
        let bars = bars.filter(|line| line.contains("<title>"));
        let value = |line: &str| {
            let rest = line.split_once(&format!(" {attribute}=\"")).unwrap().1;
            rest.split_once('"').unwrap().0.parse().unwrap()
        };
        bars.map(value).collect()
    }

    /// Every tag is closed in its order, and no text holds a bare sign of XML.
    fn is_well_formed(svg: &str) -> bool {
        let mut open = Vec::new();
        let mut rest = svg;
        while let Some(start) = rest.find('<') {
            let (text, tag) = rest.split_at(start);
            if text.contains('>') {
                return false;
            }
            let Some(end) = tag.find('>') else { return false };
            let inside = &tag[1..end];
            let name: String = inside.chars().take_while(char::is_ascii_alphabetic).collect();
            match (inside.strip_prefix('/'), inside.ends_with('/')) {
                (Some(name), _) if open.pop().as_deref() != Some(name) => return false,
                (None, false) => open.push(name),
                _ => {}
            }
            if inside.matches('"').count() % 2 == 1 {
                return false;
            }
            rest = &tag[end + 1..];
        }
        open.is_empty()
    }

    #[test]
    fn a_picture_is_well_formed_whatever_the_texts_hold() {
        for label in
            ["plain", "<script>alert('x')</script>", "a&b\"c\"", "\u{1}\u{fffe}\n</svg>", &"ü".repeat(200)]
        {
            let svg = draw(&chart(label, 1, &[(0, 60), (601, 1200)]));
            assert!(is_well_formed(&svg), "{svg}");
            assert!(!svg.contains("<script") && svg.matches("</svg>").count() == 1);
        }
        assert!(is_well_formed(&draw(&Chart { groups: Vec::new(), ..chart("x", 0, &[]) })));
    }

    #[test]
    fn bars_lie_where_their_times_are_and_never_on_each_other() {
        let svg = draw(&chart("x", 1, &[(0, 1800), (1801, 1802), (1802, 1803), (3599, 3600)]));
        assert!(numbers(&svg, "width").iter().all(|width| *width >= LEAST - 0.01), "{svg}");
        let (x, width) = (numbers(&svg, "x"), numbers(&svg, "width"));
        assert_eq!(x.len(), 8);
        assert!((x[0] - LEFT).abs() < 0.01 && (width[0] - (RIGHT - LEFT) / 2.0).abs() < 0.01);
        for row in [0..4, 4..8] {
            for at in row.clone().skip(1) {
                assert!(x[at] + 0.011 >= x[at - 1] + width[at - 1], "bar {at} covers the one before it");
            }
            for at in row {
                assert!(width[at] >= 0.0 && x[at] >= LEFT && x[at] + width[at] <= RIGHT + 0.01);
            }
        }
    }

    #[test]
    fn crowded_bars_do_not_cover_each_other_either() {
        let bars: Vec<(u64, u64)> = (0..1800).map(|at| (2 * at, 2 * at + 1)).collect();
        let svg = draw(&chart("x", 1, &bars));
        let (x, width) = (numbers(&svg, "x"), numbers(&svg, "width"));
        for at in (1..1800).chain(1801..3600) {
            assert!(x[at] + 0.011 >= x[at - 1] + width[at - 1] && x[at] + width[at] <= RIGHT + 0.01);
        }
    }

    #[test]
    fn ticks_are_round_and_few() {
        for (hours, shown) in
            [(1, "12:15"), (6, "13:00"), (24, "18:00"), (24 * 10, "03-02"), (24 * 400, "04-11")]
        {
            let svg = draw(&chart("x", hours, &[]));
            let ticks = svg.matches("text-anchor").count();
            assert!((2..=8).contains(&ticks), "{hours}: {ticks}");
            assert!(svg.contains(shown), "{hours}: {svg}");
        }
        assert_eq!(month_and_day(19_782), (2, 29));
        assert_eq!(month_and_day(0), (1, 1));
    }

    #[test]
    fn a_picture_is_readable_on_light_and_on_dark_paper() {
        let svg = draw(&chart("x", 1, &[]));
        assert!(svg.contains("prefers-color-scheme:dark") && svg.contains("width=\"1000\""));
    }
}
