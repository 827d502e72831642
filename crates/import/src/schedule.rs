//! When other tools run: intervals and cron expressions, as `every` and `schedule`.

use std::time::Duration;

use crate::model::Setting;

/// The key and its value.
pub(crate) type When = (&'static str, Setting);

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
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let (mut seconds, mut rest) = (0.0, text);
    while let Some(unit_at) = rest.find(|c| !is_number(c)) {
        let (number, after) = rest.split_at(unit_at);
        let (unit, next) = after.split_at(after.find(is_number).unwrap_or(after.len()));
        let units = [
            ("h", 3600.0),
            ("m", 60.0),
            ("s", 1.0),
            ("ms", 1e-3),
            ("us", 1e-6),
        ];
        let unit = units
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(wrong)?;
        seconds += number.parse::<f64>().map_err(|_| wrong())? * unit.1;
        rest = next;
    }
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if rest.is_empty() => Ok(duration),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests;
