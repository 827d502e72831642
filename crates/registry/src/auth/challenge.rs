//! The `WWW-Authenticate` headers of a registry, read leniently.

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use url::Url;

/// Maximum length of a realm or a service.
const LONGEST: usize = 4 << 10;

/// The authentication that a registry asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// With the credentials on every request.
    Basic,
    /// With a token that the realm gives out.
    Bearer {
        /// Where tokens are asked for.
        realm: Url,
        /// What the realm calls the registry.
        service: Option<String>,
    },
}

/// The actions on a repository that a challenge asks for, as in
/// `scope="repository:app:metadata_read"`
/// ([token.md](https://distribution.github.io/distribution/spec/auth/token/)).
pub(crate) fn wanted_actions(headers: &HeaderMap, repository: &str) -> Vec<String> {
    let texts = headers.get_all(WWW_AUTHENTICATE).iter();
    let texts = texts.filter_map(|value| value.to_str().ok());
    let bearers = texts.filter_map(|text| {
        let at = text.to_ascii_lowercase().find("bearer ")?;
        Some(&text[at + "bearer ".len()..])
    });
    let scopes = bearers.flat_map(parameters);
    let scopes = scopes.filter(|(key, _)| key.eq_ignore_ascii_case("scope"));
    let mut actions = Vec::new();
    for (_, scopes) in scopes {
        for scope in scopes.split_ascii_whitespace() {
            let name = scope
                .strip_prefix("repository:")
                .and_then(|rest| rest.rsplit_once(':'));
            if let Some((_, wanted)) = name.filter(|(name, _)| *name == repository) {
                actions.extend(
                    wanted
                        .split(',')
                        .filter(|a| !a.is_empty())
                        .map(str::to_owned),
                );
            }
        }
    }
    actions
}

impl Challenge {
    /// Reads all `WWW-Authenticate` headers; Bearer wins where both are offered (Gitea sends two
    /// headers). A header that cannot be read is none.
    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        let texts = headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok());
        let mut challenges: Vec<Self> = texts.filter_map(parse).collect();
        let bearer = challenges
            .iter()
            .position(|c| matches!(c, Self::Bearer { .. }))
            .unwrap_or(0);
        (!challenges.is_empty()).then(|| challenges.swap_remove(bearer))
    }
}

fn parse(text: &str) -> Option<Challenge> {
    let lower = text.to_ascii_lowercase();
    let Some(at) = lower.find("bearer ") else {
        return lower
            .trim_start()
            .starts_with("basic")
            .then_some(Challenge::Basic);
    };
    let mut realm = None;
    let mut service = None;
    for (key, value) in parameters(&text[at + "bearer ".len()..]) {
        if value.len() > LONGEST {
            return None;
        }
        match key.to_ascii_lowercase().as_str() {
            "realm" => realm = Url::parse(&value).ok(),
            "service" => service = Some(value),
            _ => {}
        }
    }
    Some(Challenge::Bearer {
        realm: realm?,
        service,
    })
}

/// The `key="value"` pairs of a challenge. Each step consumes at least one byte.
fn parameters(mut text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    while let Some((key, rest)) = text.split_once('=') {
        let key = key.trim_matches([' ', ',', '\t']).to_owned();
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => {
                let (value, rest) = rest.split_once(',').unwrap_or((rest, ""));
                (value.trim().to_owned(), rest)
            }
        };
        found.push((key, value));
        text = rest;
    }
    found
}

fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests;
