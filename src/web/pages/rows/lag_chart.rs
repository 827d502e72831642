//! The lag of a mirror over a time, drawn as SVG.

use crate::{locales::Language, status::LagSpan, store::LagChange};

const HOUR: i64 = 3600;
/// Columns of a drawing.
const COLUMNS: usize = 240;
/// Its height.
const HEIGHT: f64 = 60.0;
/// The spans that are drawn, in hours.
const SPANS: [i64; 3] = [24, 7 * 24, 30 * 24];

/// One drawing.
#[derive(Debug)]
pub(crate) struct LagChart {
    /// How long the span is.
    pub(crate) title: String,
    /// The share of time in sync.
    pub(crate) share: Option<String>,
    /// The worst lag; none if there was none.
    pub(crate) worst: Option<String>,
    /// What stands at the top of the drawing.
    pub(crate) top: String,
    /// The SVG path of the lag.
    pub(crate) area: String,
    /// The SVG path of the columns in which the lag is unknown.
    pub(crate) unknown: String,
    /// The height of `max_lag`, if it is within the drawing.
    pub(crate) objective: String,
}

/// The time that the longest drawing begins at.
pub(crate) fn begin(now: i64) -> i64 {
    now - SPANS[2] * HOUR
}

/// The drawings of a mirror; none if nothing is known of its past.
pub(crate) fn charts(
    changes: &[LagChange],
    max_lag: i64,
    now: i64,
    language: Language,
) -> Vec<LagChart> {
    if changes.is_empty() {
        return Vec::new();
    }
    let chart = |hours: i64| {
        let span = LagSpan::new(changes, (now - hours * HOUR, now), COLUMNS);
        LagChart::new(&span, hours, max_lag, language)
    };
    SPANS.into_iter().map(chart).collect()
}

impl LagChart {
    fn new(span: &LagSpan, hours: i64, max_lag: i64, language: Language) -> Self {
        let words = &language.words().history;
        let top = span.worst_seconds.max(max_lag).max(1) as f64 * 1.1;
        let y = |lag: i64| HEIGHT - lag as f64 / top * HEIGHT;
        let days = hours / 24;
        Self {
            title: match days {
                1 => words.hours(hours.unsigned_abs()),
                days => words.days(days.unsigned_abs()),
            },
            share: span.share_in_sync().map(|share| {
                // 99.96 % is not all of the time.
                words.in_sync(format!("{:.1}", (share * 1000.0).floor() / 10.0))
            }),
            worst: (span.worst_seconds > 0)
                .then(|| words.worst(language.duration(span.worst_seconds))),
            top: language.duration(top as i64),
            area: columns(span, |column| column.filter(|lag| *lag > 0).map(y)),
            unknown: columns(span, |column| column.is_none().then_some(0.0)),
            objective: format!("M0 {:.1}h{COLUMNS}", y(max_lag)),
        }
    }
}

/// A path with a bar down to the bottom for each column that has a height.
fn columns(span: &LagSpan, height: impl Fn(&Option<i64>) -> Option<f64>) -> String {
    let mut path = String::new();
    for (x, column) in span.columns.iter().enumerate() {
        if let Some(y) = height(column) {
            path.push_str(&format!("M{x} {HEIGHT}V{y:.1}h1V{HEIGHT}z"));
        }
    }
    path
}

#[cfg(test)]
mod tests;
