//! When other tools run: intervals and cron expressions, as `every` and `schedule`.

use std::time::Duration;

use regex::Regex;

use crate::model::Toml;

/// The key and its value.
pub(crate) type When = (&'static str, Toml);

/// The schedule of an interval, in whole seconds.
pub(crate) fn every(interval: Duration) -> When {
    let seconds = interval.as_secs().max(1);
    let mut text = String::new();
    for (unit, length, most) in [('h', 3600, u64::MAX), ('m', 60, 60), ('s', 1, 60)] {
        match seconds / length % most {
            0 => {}
            count => text.push_str(&format!("{count}{unit}")),
        }
    }
    ("every", Toml::text(text))
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
    Ok((("schedule", Toml::text(fields)), zone))
}

/// A duration as Go writes it, such as `1h15m`. A bare number is nanoseconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration such as 1h15m");
    if let Ok(nanoseconds) = text.parse() {
        return Ok(Duration::from_nanos(nanoseconds));
    }
    let part = Regex::new(r"^([0-9.]+)(h|ms|m|us|s)").map_err(|error| error.to_string())?;
    let (mut seconds, mut rest) = (0.0, text);
    while let Some(found) = part.captures(rest) {
        rest = &rest[found[0].len()..];
        let length = match &found[2] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            _ => 1e-6,
        };
        seconds += found[1].parse::<f64>().map_err(|_| wrong())? * length;
    }
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if rest.is_empty() && !text.is_empty() => Ok(duration),
        _ => Err(wrong()),
    }
}
