//! Go templates, as far as they only put a known text in their place.

/// A template for names of tags, where a tag stands once and nothing else is computed, as `tag` and
/// `backup_tag` take it.
pub(super) fn tag(text: &str, field: &str) -> Option<String> {
    let (before, rest) = text.trim().split_once("{{")?;
    let (inside, after) = rest.split_once("}}")?;
    let is_name = |text: &str| {
        text.chars()
            .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
    };
    let is_plain = inside.trim() == field && is_name(before) && is_name(after);
    is_plain.then(|| format!("{before}{{tag}}{after}"))
}

/// The text with the source and the type of its own entry in their places.
pub(super) fn fill(text: &str, source: &str, kind: &str) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((inside, after)) = after.split_once("}}") else {
            break;
        };
        filled.push_str(before);
        match inside.trim() {
            ".Sync.Source" => filled.push_str(source),
            ".Sync.Type" => filled.push_str(kind),
            other => filled.push_str(&format!("{{{{{other}}}}}")),
        }
        rest = after;
    }
    filled + rest
}

/// A value that lies elsewhere.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Elsewhere {
    Env(String),
    File(String),
}

/// Where the value of `{{env "NAME"}}` or `{{file "/path"}}` lies.
pub(super) fn elsewhere(text: &str) -> Option<Elsewhere> {
    let inside = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    let (function, argument) = inside.trim().split_once(char::is_whitespace)?;
    let argument = argument.trim();
    let bare = |quote: char| argument.strip_prefix(quote)?.strip_suffix(quote);
    let argument = bare('"').or_else(|| bare('`'))?.to_owned();
    if argument.is_empty() || argument.contains(['"', '`', '\\']) {
        return None;
    }
    match function {
        "env" => Some(Elsewhere::Env(argument)),
        "file" => Some(Elsewhere::File(argument)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_for_tags_holds_the_tag_once_and_nothing_else() {
        let of = |text| tag(text, ".Ref.Tag");
        assert_eq!(of("backup-{{.Ref.Tag}}").unwrap(), "backup-{tag}");
        assert_eq!(of("{{ .Ref.Tag }}.old").unwrap(), "{tag}.old");
        for wrong in [
            "backup",
            "{{.Ref.Tag}}-{{.Ref.Tag}}",
            "r.io/b:{{.Ref.Tag}}",
            "{{.Ref.Repository}}",
            "{{$t := time.Now}}{{.Ref.Tag}}",
        ] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_source_is_put_in_its_place_and_what_is_not_known_stays() {
        assert_eq!(fill("r.io/{{ .Sync.Source }}", "a/b", "image"), "r.io/a/b");
        assert_eq!(fill("{{env \"R\"}}/x", "a", "image"), "{{env \"R\"}}/x");
        assert_eq!(fill("a{{b", "a", "image"), "a{{b");
    }

    #[test]
    fn values_that_lie_elsewhere_are_found() {
        assert_eq!(elsewhere("{{env \"A\"}}"), Some(Elsewhere::Env("A".into())));
        assert_eq!(
            elsewhere("{{ file `/x` }}"),
            Some(Elsewhere::File("/x".into()))
        );
        for other in ["secret", "{{env \"A\"}}x", "{{ . }}", "{{env \"A\" \"B\"}}"] {
            assert_eq!(elsewhere(other), None, "{other}");
        }
    }
}
