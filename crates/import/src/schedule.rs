//! When other tools run: intervals and cron expressions, as `every` and `schedule`.

use std::{fmt::Write as _, time::Duration};

use crate::model::Setting;

/// The key and its value.
pub(crate) type When = (&'static str, Setting);

/// The schedule of an interval, in whole seconds.
pub(crate) fn every(interval: Duration) -> When {
    let seconds = interval.as_secs().max(1);
    let mut text = String::new();
    for (unit, count) in [
        ('h', seconds / 3600),
        ('m', seconds / 60 % 60),
        ('s', seconds % 60),
    ] {
        if count > 0 {
            let _ = write!(text, "{count}{unit}");
        }
    }
    ("every", Setting::Text(text))
}

/// The schedule of an expression of robfig/cron, and the time zone if the expression names one.
pub(crate) fn cron(text: &str) -> Result<(When, Option<&str>), String> {
    let zoned = text.strip_prefix("CRON_TZ=");
    let zoned = zoned.or_else(|| text.strip_prefix("TZ="));
    let (zone, fields) = match zoned.and_then(|rest| rest.split_once(' ')) {
        Some((zone, fields)) => (Some(zone), fields.trim()),
        None => (None, text.trim()),
    };
    let fields = match fields.strip_prefix("@every ") {
        Some(interval) => return Ok((every(duration(interval.trim())?), None)),
        None if fields == "@midnight" => "@daily",
        None if fields == "@annually" => "@yearly",
        None => fields,
    };
    // Six fields would be seconds first here.
    if !fields.starts_with('@') && fields.split_whitespace().count() != 5 {
        return Err(format!("`{fields}` does not have five fields"));
    }
    Ok((("schedule", Setting::Text(fields.into())), zone))
}

/// A duration as Go writes it, such as `1h15m`. A bare number is nanoseconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration such as 1h15m");
    if let Ok(nanoseconds) = text.parse() {
        return Ok(Duration::from_nanos(nanoseconds));
    }
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let is_number = |c: char| c.is_ascii_digit() || c == '.';
        let unit_at = rest.find(|c| !is_number(c)).ok_or_else(wrong)?;
        let (number, after) = rest.split_at(unit_at);
        let end = after.find(is_number).unwrap_or(after.len());
        let unit = match &after[..end] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return Err(wrong()),
        };
        seconds += number.parse::<f64>().map_err(|_| wrong())? * unit;
        rest = &after[end..];
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

#[cfg(test)]
mod tests;
