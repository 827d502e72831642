//! Parses the request for a page: its language, and what its links repeat.

use std::convert::Infallible;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header::ACCEPT_LANGUAGE, request::Parts},
};
use url::form_urlencoded;

use crate::{
    locales::{Language, words::Words},
    web::pages::{action, filter, report, sort},
};

/// Interval of the refresh link, and of pages that show a run.
pub(crate) const REFRESH_SECONDS: u64 = 10;
/// Shortest and longest refresh interval in seconds.
const REFRESH: (u64, u64) = (2, 3600);

/// Most letters of the text filter.
const MAX_FILTER_LETTERS: usize = 200;

/// The known keys of a query. All others are dropped, so that no link repeats them.
const KEYS: [(&str, Parse); 9] = [
    ("lang", |value| Some(Language::parse(value)?.tag().into())),
    ("refresh", |value| match value {
        "off" => Some("off".into()),
        seconds => Some(refresh_seconds(seconds)?.to_string()),
    }),
    ("page", |value| {
        Some(value.parse::<u64>().ok()?.max(1).to_string())
    }),
    ("state", |value| Some(filter::known_state(value).into())),
    ("sort", |value| Some(sort::known_order(value)?.into())),
    ("done", |value| Some(action::known_result(value)?.into())),
    ("format", |value| Some(report::known_format(value).into())),
    ("q", |value| {
        Some(value.chars().take(MAX_FILTER_LETTERS).collect())
    }),
    // An image's name is parsed where it is looked up.
    ("image", |value| Some(value.into())),
];

/// Parses a value into the form that links repeat.
type Parse = fn(&str) -> Option<String>;

/// A parsed request for a page.
#[derive(Debug)]
pub(crate) struct PageRequest {
    /// The language of the page.
    pub(crate) language: Language,
    /// The refresh interval in seconds.
    pub(crate) refresh: Option<u64>,
    path: String,
    query: Vec<(&'static str, String)>,
}

impl<S: Sync> FromRequestParts<S> for PageRequest {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self::new(parts.uri.path(), query, &parts.headers))
    }
}

impl PageRequest {
    fn new(path: &str, query: &str, headers: &HeaderMap) -> Self {
        let mut request = Self {
            language: Language::English,
            refresh: None,
            // Two slashes would name another host.
            path: format!("/{}", path.trim_start_matches(['/', '\\'])),
            query: parse_query(query),
        };
        let header = headers
            .get(ACCEPT_LANGUAGE)
            .and_then(|value| value.to_str().ok());
        request.language = request
            .get("lang")
            .and_then(Language::parse)
            .unwrap_or_else(|| Language::preferred(header.unwrap_or_default()));
        request.refresh = request.get("refresh").and_then(refresh_seconds);
        request
    }

    /// Refreshes the page while something is running, unless the query says otherwise.
    pub(crate) fn refresh_while(&mut self, is_running: bool) {
        if is_running && self.get("refresh").is_none() {
            self.refresh = Some(REFRESH_SECONDS);
        }
    }

    /// The texts in its language.
    pub(crate) fn words(&self) -> &'static Words {
        self.language.words()
    }

    /// The value of a key, if it is not empty.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        let (_, value) = self.query.iter().find(|(name, _)| *name == key)?;
        Some(value.as_str())
    }

    /// The requested page of a long list, counted from 1.
    pub(crate) fn page(&self) -> u64 {
        let page = self.get("page").and_then(|page| page.parse().ok());
        page.unwrap_or(1).max(1)
    }

    /// A link to another page. Keeps `lang` if the query names it.
    pub(crate) fn link(&self, path: &str, query: &[(&str, &str)]) -> String {
        let lang = self.get("lang").map(|lang| ("lang", lang));
        joined(path, lang.into_iter().chain(query.iter().copied()))
    }

    /// A link to this page with one key changed.
    pub(crate) fn here(&self, key: &str, value: Option<&str>) -> String {
        // Another selection starts at its first page.
        let is_first = !matches!(key, "lang" | "refresh");
        let is_other = |name: &str| name != key && name != "done" && !(name == "page" && is_first);
        let kept = self.query.iter().filter(|(name, _)| is_other(name));
        let kept = kept.map(|(name, value)| (*name, value.as_str()));
        joined(&self.path, kept.chain(value.map(|value| (key, value))))
    }

    /// The hidden fields of a form.
    pub(crate) fn kept(&self, keys: &[&'static str]) -> Vec<(&'static str, &str)> {
        let kept = keys.iter().filter_map(|key| Some((*key, self.get(key)?)));
        kept.collect()
    }
}

/// The first value of each known key, if it is valid.
fn parse_query(query: &str) -> Vec<(&'static str, String)> {
    let mut parsed: Vec<(&'static str, String)> = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let Some((key, parse)) = KEYS.iter().find(|(key, _)| *key == name) else {
            continue;
        };
        let value = value.trim();
        if value.is_empty() || parsed.iter().any(|(known, _)| known == key) {
            continue;
        }
        parsed.extend(parse(value).map(|value| (*key, value)));
    }
    parsed
}

fn refresh_seconds(text: &str) -> Option<u64> {
    let seconds: u64 = text.parse().ok()?;
    Some(seconds.clamp(REFRESH.0, REFRESH.1))
}

fn joined<'a>(path: &str, query: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = form_urlencoded::Serializer::new(String::new());
    text.extend_pairs(query);
    match text.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

/// The path of a mirror's page, percent-encoded.
pub(crate) fn mirror_path(name: &str) -> String {
    let mut path = String::from("/mirrors/");
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b':' => {
                path.push(char::from(byte));
            }
            other => path.push_str(&format!("%{other:02X}")),
        }
    }
    path
}

#[cfg(test)]
mod tests;
