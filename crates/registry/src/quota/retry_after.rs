//! How long a registry asks to be left alone, in each way that registries say it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// The longest pause that is believed.
const MAX_PAUSE: Duration = Duration::from_secs(24 * 3600);
/// The shortest that is kept where a registry speaks of parts of a second: ghcr's 880 µs would
/// only bring the next refusal.
const MIN_PAUSE: Duration = Duration::from_secs(1);
/// What comes before a pause in words.
const PHRASES: [&str; 2] = ["retry-after", "retry after"];

/// The pause that an answer asks for by its header, or else in the words of its body.
pub(crate) fn requested_pause(headers: &HeaderMap, said: &str) -> Option<Duration> {
    retry_after(headers).or_else(|| in_words(said))
}

/// Reads `RetryPolicy-After`: seconds or a date
/// ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#field.retry-after)), and what no RFC allows,
/// parts of seconds and durations as Go prints them.
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

/// Seconds with or without parts, or a duration as Go prints it: `1m30s`, `880.092µs`.
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
