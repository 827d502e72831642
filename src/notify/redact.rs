//! Removes the secrets of a channel from answers: some services repeat the address of the request.

use secrecy::ExposeSecret as _;
use url::Url;

use crate::config::{SecretUrl, Service};

/// Most characters of an answer that are repeated.
const LONGEST: usize = 250;
/// What stands in place of a secret.
const MASK: &str = "***";
/// A shorter text is a word rather than a secret, and masking it would make messages unreadable.
const SHORTEST: usize = 4;
/// A part of a URL that long is a key, and no word.
const KEY_LENGTH: usize = 12;

/// The secrets of one channel, the longest first.
pub(crate) struct Redactor(Vec<String>);

impl Redactor {
    pub(crate) fn new(service: &Service) -> Self {
        let secrets = service.secrets().into_iter();
        let mut secrets: Vec<String> = secrets.map(|s| s.expose_secret().to_owned()).collect();
        let url = service.url().map(SecretUrl::expose);
        secrets.extend(url.iter().flat_map(|url| parts(url)));
        secrets.retain(|secret| secret.len() >= SHORTEST);
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(secrets)
    }

    /// The first words of a text, without any of the secrets.
    pub(crate) fn clean(&self, text: String) -> String {
        let secrets = self.0.iter();
        let clean = secrets.fold(text, |text, secret| text.replace(secret, MASK));
        // Not before: half a secret would not be found.
        clean.chars().take(LONGEST).collect()
    }
}

/// What of a URL lets others use it: its path, its query, its login.
fn parts(url: &Url) -> Vec<String> {
    let mut parts = vec![url.as_str().to_owned(), url.path().to_owned()];
    parts.extend(url.query().map(ToOwned::to_owned));
    parts.extend(url.password().map(ToOwned::to_owned));
    parts.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
    let segments = url.path_segments().into_iter().flatten();
    let keys = segments.filter(|segment| segment.len() >= KEY_LENGTH);
    parts.extend(keys.map(ToOwned::to_owned));
    parts
}

#[cfg(test)]
mod tests;
