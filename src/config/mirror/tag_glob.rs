//! Globs that can match no tag, and the form that was most likely meant.

#[cfg(test)]
mod tests;

use crate::config::parse::redact::may_be_secret;

/// Why a glob of `key` matches no tag, and what to write; `None` for one that may match.
///
/// A tag begins with a letter, a digit or `_`, and holds these, `.` and `-`
/// ([distribution specification](https://github.com/opencontainers/distribution-spec/blob/main/spec.md)).
pub(crate) fn mistake(glob: &str, key: &str) -> Option<(String, String)> {
    let message = |why: &str| format!("`{glob}` in `{key}` matches no tag: {why}");
    if let Some(odd) = odd_character(glob) {
        let why = format!("no tag has `{odd}`").replace("` `", "a blank");
        return Some((message(&why), remedy(glob, key, odd)));
    }
    let first = glob.chars().next().filter(|first| ".-".contains(*first))?;
    let why = format!("no tag begins with `{first}`");
    Some((message(&why), format!("did you mean \"*{glob}\"?")))
}

/// The first character outside of any brackets that is neither a tag's nor a glob's.
fn odd_character(glob: &str) -> Option<char> {
    let (mut braces, mut is_class) = (0_usize, false);
    for c in glob.chars() {
        match c {
            ']' => is_class = false,
            _ if is_class => {}
            '[' => is_class = true,
            '{' => braces += 1,
            '}' => braces = braces.saturating_sub(1),
            ',' if braces > 0 => {}
            '*' | '?' | '.' | '_' | '-' => {}
            c if c.is_ascii_alphanumeric() => {}
            c => return Some(c),
        }
    }
    None
}

fn remedy(glob: &str, key: &str, odd: char) -> String {
    const FORM: &str = "a tag has letters, digits, `_`, `.` and `-`; in a glob, also `*`, `?`, \
                        `[abc]` and `{a,b}`";
    if may_be_secret(glob) {
        return FORM.into();
    }
    let quoted = |items: Vec<&str>| {
        let items = items.iter().map(|item| format!("\"{}\"", item.trim()));
        format!(
            "write a list: {key} = [{}]",
            items.collect::<Vec<_>>().join(", ")
        )
    };
    let is_expression = glob.starts_with('^')
        || glob.ends_with('$')
        || ["\\", "(", ")", "+"].iter().any(|sign| glob.contains(sign));
    let regex = match key {
        "tags" => Some("regex"),
        "exclude" => Some("exclude_regex"),
        _ => None,
    };
    match (odd, regex) {
        (',', _) => quoted(glob.split(',').collect()),
        (' ', _) if glob.trim() != glob => format!("write \"{}\"", glob.trim()),
        (' ', _) => quoted(glob.split_whitespace().collect()),
        (_, Some(key)) if is_expression => {
            let expression = glob.trim_start_matches('^').trim_end_matches('$');
            format!("for a regular expression, write {key} = '{expression}'")
        }
        ('|', _) => quoted(glob.split('|').collect()),
        ('/' | ':', _) => format!("write repositories in `from`, and only tags in `{key}`"),
        _ => FORM.into(),
    }
}
