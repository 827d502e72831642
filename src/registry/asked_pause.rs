//! How long a registry asks to be left alone, in each way that registries say it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// The longest pause that is believed.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// The shortest that is kept where a registry speaks of parts of a second: ghcr's 880 µs would
/// only bring the next refusal.
const SHORTEST: Duration = Duration::from_secs(1);
/// What comes before a pause in words.
const PHRASES: [&str; 2] = ["retry-after", "retry after"];

/// The pause that an answer asks for by its header, or else in the words of its body.
pub(super) fn asked_pause(headers: &HeaderMap, said: &str) -> Option<Duration> {
    retry_after(headers).or_else(|| in_words(said))
}

/// Reads `Retry-After`: seconds or a date
/// ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#field.retry-after)), and what no RFC allows,
/// parts of seconds and durations as Go prints them.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds).min(LONGEST));
    }
    if let Ok(date) = DateTime::parse_from_rfc2822(text) {
        let wait = (date.with_timezone(&Utc) - Utc::now()).to_std().ok();
        return wait.map(|wait| wait.min(LONGEST));
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
    let wait = Duration::try_from_secs_f64(seconds.min(LONGEST.as_secs_f64())).ok()?;
    Some(wait.max(SHORTEST))
}

/// The seconds of a duration as Go writes it: `1h15m`.
pub(crate) fn go_seconds(mut text: &str) -> Option<f64> {
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
mod tests {
    use super::*;

    fn header(text: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        let value = reqwest::header::HeaderValue::from_bytes(text.as_bytes()).unwrap();
        headers.insert(RETRY_AFTER, value);
        asked_pause(&headers, "")
    }

    fn words(text: &str) -> Option<Duration> {
        asked_pause(&HeaderMap::new(), text)
    }

    fn seconds(seconds: f64) -> Option<Duration> {
        Some(Duration::from_secs_f64(seconds))
    }

    #[test]
    fn a_header_has_seconds_parts_of_them_a_date_or_a_duration() {
        assert_eq!(header("0"), seconds(0.0));
        assert_eq!(header("30"), seconds(30.0));
        assert_eq!(header("1.5"), seconds(1.5));
        assert_eq!(header("0.25"), seconds(1.0));
        assert_eq!(header("1m30s"), seconds(90.0));
        assert_eq!(header(&u64::MAX.to_string()), Some(LONGEST));
        assert_eq!(header("1e300"), Some(LONGEST));
        assert_eq!(header("soon"), None);
        assert_eq!(header("-1"), None);
        assert_eq!(header("NaN"), None);
        let date = Utc::now() + chrono::TimeDelta::seconds(100);
        let wait = header(&date.to_rfc2822().replace("+0000", "GMT")).unwrap();
        assert!((90..=100).contains(&wait.as_secs()), "{wait:?}");
        assert_eq!(header("Wed, 21 Oct 2015 07:28:00 GMT"), None);
    }

    #[test]
    fn the_words_of_a_body_are_believed_and_short_pauses_are_made_longer() {
        let ghcr = "TOOMANYREQUESTS: retry-after: 880.092µs, allowed: 44000/minute";
        assert_eq!(words(ghcr), seconds(1.0));
        assert_eq!(words("retry-after: 880.092\u{3bc}s"), seconds(1.0));
        assert_eq!(words("Please retry after 1m30s."), seconds(90.0));
        assert_eq!(words("Retry-After: 12"), seconds(12.0));
        assert_eq!(words("retry-after: 2h0m1.5s"), seconds(7201.5));
        assert_eq!(words("try again after 5s"), None);
        assert_eq!(words("retry after lunch"), None);
        assert_eq!(words("retry-after"), None);
    }
}
