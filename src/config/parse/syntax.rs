//! Remedies for files that are not TOML: other formats, other encodings, and frequent slips.

#[cfg(test)]
mod tests;

use std::{io, ops::Range};

use crate::config::parse::redact::may_be_secret;

/// Double and single quotes that word processors and chat programs write.
const TYPOGRAPHIC: [char; 6] = ['“', '”', '„', '‘', '’', '＂'];
const SYNTAX_HELP: &str = "correct the syntax; see toml.io for the format";
const IMPORT_HELP: &str = "`transship import FILE` converts files of regsync, image-syncer, skopeo \
                           sync and dregsy; mirror.toml is TOML, see toml.io";

/// A format that is not TOML, and the place of its first line.
pub(crate) struct OtherFormat {
    pub(crate) name: &'static str,
    pub(crate) span: Range<usize>,
    pub(crate) help: &'static str,
}

/// The format of a text that is not TOML, if it is one that other tools use.
pub(crate) fn other_format(text: &str) -> Option<OtherFormat> {
    let (at, first) = first_line(text)?;
    let name = match first {
        _ if first.starts_with('{') => "JSON",
        _ if first == "---" || is_yaml_key(first) => "YAML",
        _ => return None,
    };
    Some(OtherFormat {
        name,
        span: at..at + first.len(),
        help: IMPORT_HELP,
    })
}

/// The first line that is neither empty nor a comment, and its place.
fn first_line(text: &str) -> Option<(usize, &str)> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let words = line.trim();
        if !words.is_empty() && !words.starts_with('#') {
            return Some((at + (line.len() - line.trim_start().len()), words));
        }
        at += line.len();
    }
    None
}

/// Whether a line is `key:` or `key: value`, or an item of a list.
fn is_yaml_key(line: &str) -> bool {
    let line = line.strip_prefix("- ").unwrap_or(line);
    let Some((key, value)) = line.split_once(':') else {
        return false;
    };
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    !key.is_empty() && key.chars().all(is_word) && (value.is_empty() || value.starts_with(' '))
}

/// What to do about a syntax error at a place.
pub(crate) fn remedy(text: &str, span: &Range<usize>, message: &str) -> String {
    let line = line_at(text, span.start);
    if line.contains(TYPOGRAPHIC) && may_be_secret(line) {
        return "write straight quotes, `\"`".into();
    }
    if line.contains(TYPOGRAPHIC) {
        let written = line.trim().replace(TYPOGRAPHIC, "\"");
        return format!("write straight quotes: {written}");
    }
    if message.contains("escape") {
        return match pattern(line) {
            Some((key, value)) => {
                format!("write patterns with `\\` in single quotes: {key} = '{value}'")
            }
            None => "write text with `\\` in single quotes, as in regex = 'v1\\.\\d+'".into(),
        };
    }
    SYNTAX_HELP.into()
}

fn line_at(text: &str, at: usize) -> &str {
    let at = at.min(text.len());
    let start = text[..at].rfind('\n').map_or(0, |found| found + 1);
    let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
    &text[start..end]
}

/// The key and the value of a line `regex = "…"`. Other keys may hold secrets.
fn pattern(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once('=')?;
    let value = value.trim().strip_prefix('"')?;
    let (value, _) = value.rsplit_once('"')?;
    let is_plain = !may_be_secret(value) && !value.contains(['\'', '"']);
    (matches!(key.trim(), "regex" | "exclude_regex") && is_plain).then(|| (key.trim(), value))
}

/// The text of a file, or what is wrong with its encoding and what to do.
pub(crate) fn decode(bytes: Vec<u8>, file: &str) -> Result<String, (io::Error, String)> {
    let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        let help = format!("save it as UTF-8: iconv -f UTF-16 -t UTF-8 {file} > new.toml");
        return Err((invalid("it is UTF-16, not UTF-8".into()), help));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        let help =
            format!("save it as UTF-8; if it is GBK: iconv -f GBK -t UTF-8 {file} > new.toml");
        (invalid(format!("line {line} is not UTF-8")), help)
    })
}
