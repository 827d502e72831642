//! What of a `mirror.toml` is never shown: the values of keys that hold secrets, and whatever looks like one.

#[cfg(test)]
mod tests;

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::config::{closest, parse::diagnostics::Problems};

/// What stands in a line that may hold a secret, or in the URL that does.
const TELLTALES: [&str; 9] = [
    "pass", "pwd", "pasw", "secret", "tok", "url", "proxy", "@", "key",
];
/// What stands in the name of a key that holds a secret.
const SECRET_KEYS: [&str; 6] = ["pass", "pwd", "pasw", "secret", "tok", "url"];
/// The names that such keys have, here and elsewhere: what is nearly one of them may be one.
const SECRET_NAMES: [&str; 5] = ["password", "secret", "token", "url", "webhook"];
/// The keys that say where a secret lies.
const SOURCES: [&str; 3] = ["env", "file", "credential"];
/// Keys whose values people write as addresses, right or wrong, that open nothing.
const ADDRESSES: [&str; 5] = ["from", "target", "path", "endpoint", "proxy"];
/// The tables of which each table has a name of its owner's choice.
const NAMED: [&str; 2] = ["registries", "notify"];
/// Characters beyond the host with which an address may open something.
const WAY: usize = 8;
/// Characters of which a random word has at least so many.
const RANDOM: usize = 16;
/// What a message says in place of a secret.
const HIDDEN: &str = "***";

/// Whether a key may hold a secret, by its name.
pub(crate) fn is_secret_key(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    // A personal access token, and not a `path`.
    lower == "pat"
        || SECRET_KEYS.iter().any(|word| lower.contains(word))
        || closest(&lower, SECRET_NAMES.into_iter()).is_some()
}

/// Hides in a file that is TOML: the values of keys that hold secrets, what looks like a secret
/// wherever it stands, and comments that may hold one.
pub(crate) fn hide_in_table(text: &str, file: &DeTable<'_>, problems: &mut Problems) {
    let mut walk = Walk {
        problems,
        seen: Vec::new(),
    };
    walk.table(file, TablePlace::default());
    let mut seen = walk.seen;
    seen.sort_by_key(|span| span.start);
    hide_comments(text, &seen, problems);
}

/// What is known of the place of a table in the file.
#[derive(Clone, Copy, Default)]
struct TablePlace {
    /// Whether a key above it holds a secret.
    is_secret: bool,
    /// Whether its tables have names of the owner's choice.
    has_names: bool,
    /// Whether it is not the top.
    is_below: bool,
}

struct Walk<'p> {
    problems: &'p mut Problems,
    /// Where keys and values stand: what is left are signs and comments.
    seen: Vec<Range<usize>>,
}

impl Walk<'_> {
    fn table(&mut self, table: &DeTable<'_>, place: TablePlace) {
        for (key, value) in table {
            let name: &str = key.get_ref();
            self.seen.push(key.span());
            if looks_secret(name) {
                self.problems.hide_everywhere(key.span(), name);
            }
            let is_name = place.has_names && value.get_ref().is_table();
            let is_source = value
                .get_ref()
                .as_str()
                .is_some_and(|text| is_source(name, text));
            let below = TablePlace {
                is_secret: place.is_secret && !is_source || !is_name && is_secret_key(name),
                has_names: !place.is_below && NAMED.contains(&name),
                is_below: true,
            };
            self.value(name, value, below);
        }
    }

    fn value(&mut self, key: &str, value: &Spanned<DeValue<'_>>, place: TablePlace) {
        match value.get_ref() {
            DeValue::Table(table) => return self.table(table, place),
            DeValue::Array(items) => {
                return items.iter().for_each(|item| self.value(key, item, place));
            }
            DeValue::String(text) if opens(key, text) || key == "env" && place.is_secret => {
                self.problems.hide_everywhere(value.span(), text);
            }
            _ if place.is_secret => self.problems.hide(value.span()),
            _ => {}
        }
        self.seen.push(value.span());
    }
}

/// Whether a key and its value say where a secret lies. The value of `env` may be the secret itself,
/// by mistake, and is shown only if variables are called so: in capitals, or with a `_`.
fn is_source(key: &str, text: &str) -> bool {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_usual = !text.contains(|c: char| c.is_ascii_lowercase()) || text.contains('_');
    SOURCES.contains(&key) && (key != "env" || is_usual && text.chars().all(is_legal))
}

/// Whether the value of a key looks like a secret. The way of an address is one, unless the key is
/// there for addresses.
fn opens(key: &str, text: &str) -> bool {
    looks_secret(text) || !ADDRESSES.contains(&key) && words(text).any(leads_somewhere)
}

/// Hides comments that may hold a secret. `seen` is in the order of the file.
fn hide_comments(text: &str, seen: &[Range<usize>], problems: &mut Problems) {
    let mut next = 0;
    let mut at = 0;
    while let Some(found) = text[at..].find('#').map(|found| at + found) {
        next += seen[next..].iter().take_while(|s| s.end <= found).count();
        if let Some(inside) = seen.get(next).filter(|span| span.contains(&found)) {
            at = inside.end;
            continue;
        }
        at = text[found..]
            .find('\n')
            .map_or(text.len(), |end| found + end);
        if line_tells(&text[found..at]) {
            problems.hide(found..at);
        }
    }
}

/// Hides what may be a secret in a file of which it is not known what is what: the lines that
/// look like one, and all of a value of several lines that begins in one.
pub(crate) fn hide_lines(text: &str, problems: &mut Problems) {
    let mut start = 0;
    let mut is_inside = false;
    let mut open = 0;
    for line in text.split_inclusive('\n') {
        let is_odd = ["\"\"\"", "'''"]
            .iter()
            .any(|quotes| line.matches(quotes).count() % 2 == 1);
        let words = line.trim();
        let goes_on = open > 0 && !words.is_empty() && !words.starts_with('[');
        if is_inside || goes_on || line_tells(line) {
            problems.hide(start..start + line.trim_end().len());
            is_inside ^= is_odd;
            open = if goes_on { open } else { 0 } + opened(words);
        }
        start += line.len();
    }
}

/// How many brackets a line opens and does not close; a value that is still to come is one.
fn opened(line: &str) -> isize {
    let is_to_come = line.ends_with('=');
    let signs = line.chars().map(|c| match c {
        '{' | '[' => 1,
        '}' | ']' => -1,
        _ => 0,
    });
    signs.sum::<isize>() + isize::from(is_to_come)
}

fn line_tells(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    let key = line.split('=').next().unwrap_or_default();
    let key = key.rsplit('.').next().unwrap_or_default();
    let key = key.trim_matches(|c: char| !c.is_alphanumeric());
    TELLTALES.iter().any(|word| lower.contains(word))
        || closest(key, SECRET_NAMES.into_iter()).is_some()
        || looks_secret(line)
        || words(line).any(leads_somewhere)
}

/// Whether a text may hold a secret, so that no remedy may repeat a part of it.
pub(crate) fn may_be_secret(text: &str) -> bool {
    line_tells(text)
}

/// Whether a text holds what looks like a secret: a login before a host, a key, a random word.
pub(crate) fn looks_secret(text: &str) -> bool {
    text.contains("PRIVATE KEY") || holds_login(text) || words(text).any(is_random)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_gap = |c: char| c.is_whitespace() || "\"'`,;()[]{}<>|".contains(c);
    text.split(is_gap).filter(|word| !word.is_empty())
}

/// As in `user:password@host`, but not as in `image:tag@sha256:…`.
fn holds_login(text: &str) -> bool {
    let Some((login, host)) = text.rsplit_once('@') else {
        return false;
    };
    let login = login.split_once("://").map_or(login, |(_, login)| login);
    login.contains(':') && !["sha256:", "sha512:"].iter().any(|d| host.starts_with(d))
}

/// Whether an address has more than its host.
fn leads_somewhere(word: &str) -> bool {
    word.split_once("://").is_some_and(|(_, rest)| {
        let way = rest.find(['/', '?', '#']).map_or("", |at| &rest[at..]);
        way.trim_matches('/').len() >= WAY
    })
}

/// Whether a part of a word was drawn and not thought up: digits among capitals and small letters,
/// or many hexadecimal digits. A path of this machine is none, and neither is a digest.
fn is_random(word: &str) -> bool {
    let is_path = word.starts_with(['/', '.', '~', '$']);
    let is_digest = ["sha256:", "sha512:"].iter().any(|d| word.contains(d));
    let mut parts = word.split(['/', '?', '&', '=', '@']);
    !is_path && !is_digest && parts.any(is_random_part)
}

fn is_random_part(part: &str) -> bool {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || "_-+:".contains(c);
    let is_token = part.starts_with("eyJ") || part.chars().all(is_legal);
    let has = |kind: fn(&char) -> bool| part.chars().any(|c| kind(&c));
    let is_mixed =
        has(char::is_ascii_digit) && has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase);
    let is_hexadecimal = part.len() >= 2 * RANDOM
        && has(char::is_ascii_digit)
        && part.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    part.len() >= RANDOM && is_token && is_mixed || is_hexadecimal
}

/// A message without these values, and without what looks like a secret.
pub(crate) fn without_secrets(message: &str, values: &[String]) -> String {
    let mut shown = message.to_owned();
    for value in values {
        shown = shown.replace(value.as_str(), HIDDEN);
    }
    let found: Vec<String> = words(&shown)
        .filter(|word| looks_secret(word))
        .map(str::to_owned)
        .collect();
    found
        .iter()
        .fold(shown, |shown, word| shown.replace(word.as_str(), HIDDEN))
}
