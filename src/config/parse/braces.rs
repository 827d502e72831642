//! Brace expansion, `kube-{apiserver,proxy}`, as shells do it.

/// Texts that one `from` may expand to.
const LIMIT: usize = 10_000;

/// Expands every `{a,b}`; braces may nest. Says what is wrong with an odd brace.
pub(crate) fn expand(text: &str) -> Result<Vec<String>, String> {
    let mut done = Vec::new();
    let mut open = vec![text.to_owned()];
    while let Some(text) = open.pop() {
        match innermost(&text)? {
            None => done.push(text),
            Some((start, end)) => {
                let choices: Vec<&str> = text[start + 1..end].split(',').collect();
                if choices.len() < 2 {
                    return Err(format!("`{{{}}}` has no comma", choices.concat()));
                }
                let expanded = choices.iter().rev();
                open.extend(expanded.map(|c| format!("{}{c}{}", &text[..start], &text[end + 1..])));
            }
        }
        if open.len() + done.len() > LIMIT {
            return Err(format!("it expands to more than {LIMIT} names"));
        }
    }
    let mut seen = std::collections::HashSet::new();
    done.retain(|text| seen.insert(text.clone()));
    Ok(done)
}

/// The first pair of braces without a brace inside.
fn innermost(text: &str) -> Result<Option<(usize, usize)>, String> {
    match (text.find('}'), text.find('{')) {
        (None, None) => Ok(None),
        (Some(end), Some(_)) => match text[..end].rfind('{') {
            Some(start) => Ok(Some((start, end))),
            None => Err("a `}` comes before its `{`".into()),
        },
        (None, Some(_)) => Err("a `{` is never closed".into()),
        (Some(_), None) => Err("a `}` has no `{`".into()),
    }
}
