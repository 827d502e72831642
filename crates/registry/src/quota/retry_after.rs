//! The pause that a registry asks for: `Retry-After`, and what registries write instead.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// Longer pauses are cut to this.
const MAX_PAUSE: Duration = Duration::from_secs(24 * 3600);
/// Fractions of a second are raised to this: after ghcr's 880 µs the next refusal would follow.
const MIN_PAUSE: Duration = Duration::from_secs(1);
/// Words before a pause in a message.
const PHRASES: [&str; 2] = ["retry-after", "retry after"];

/// The pause that a response asks for by its header, or else in its message.
pub(crate) fn requested_pause(headers: &HeaderMap, said: &str) -> Option<Duration> {
    retry_after(headers).or_else(|| in_words(said))
}

/// Reads `Retry-After`: seconds or a date
/// ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#field.retry-after)), and what no RFC allows:
/// fractions of seconds, and durations as Go prints them. At most a day.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds).min(MAX_PAUSE));
    }
    if let Ok(date) = DateTime::parse_from_rfc2822(text) {
        let wait = (date.with_timezone(&Utc) - Utc::now()).to_std().ok();
        return wait.map(|wait| wait.min(MAX_PAUSE));
    }
    lax(text)
}

/// The pause in a text such as `toomanyrequests: retry-after: 880.092µs, allowed: 44000/minute`.
fn in_words(said: &str) -> Option<Duration> {
    let said = said.to_lowercase();
    let begin = |phrase: &str| said.find(phrase).map(|at| at + phrase.len());
    let rest = &said[PHRASES.into_iter().find_map(begin)?..];
    let rest = rest.trim_start_matches(|c: char| c == ':' || c == '=' || c.is_whitespace());
    let is_end = |c: char| !(c.is_alphanumeric() || c == '.');
    let word = rest.split(is_end).next().unwrap_or_default();
    lax(word.trim_end_matches('.'))
}

/// Seconds with or without a fraction, or a duration as Go prints it: `1m30s`, `880.092µs`.
fn lax(text: &str) -> Option<Duration> {
    let seconds = match text.parse::<f64>() {
        Ok(seconds) if !seconds.is_nan() => seconds,
        _ => go_seconds(text)?,
    };
    let wait = Duration::try_from_secs_f64(seconds.min(MAX_PAUSE.as_secs_f64())).ok()?;
    Some(wait.max(MIN_PAUSE))
}

/// The seconds of a duration as Go writes it: `1h15m`.
fn go_seconds(mut text: &str) -> Option<f64> {
    let mut sum = 0.0;
    loop {
        let (number, rest) = text.split_at(text.find(|c: char| c.is_alphabetic())?);
        let end = rest.find(|c: char| !c.is_alphabetic());
        let (unit, rest) = rest.split_at(end.unwrap_or(rest.len()));
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            // The micro sign, and the Greek letter that lower case makes of it.
            "us" | "\u{b5}s" | "\u{3bc}s" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        sum += number.parse::<f64>().ok()? * seconds;
        if rest.is_empty() {
            return Some(sum);
        }
        text = rest;
    }
}

#[cfg(test)]
mod tests;
