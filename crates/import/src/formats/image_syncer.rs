//! image-syncer's rules and logins, in one file or in two
//! ([manual](https://github.com/AliyunContainerService/image-syncer)).

use serde_saphyr::Spanned;

use super::{Mirrored, Reader};
use crate::{
    diagnostics::Error,
    model::{self, Import, Keys, Setting},
    reference::{self, Repository},
    tags::{Filter, TagSets, pattern},
    template::{Syntax, Unfilled},
    yaml::{self, OneOrMany, Pairs, Text, given, line},
};

yaml::record! {
    /// The one file of older versions.
    struct WholeFile {
        auth: Pairs<LoginKeys> = "auth",
        images: Pairs<OneOrMany> = "images",
    }
}

yaml::record! {
    struct LoginKeys {
        username: Option<Text> = "username",
        password: Option<Text> = "password",
        insecure: Option<Spanned<bool>> = "insecure",
    }
}

/// Reads the rules. `has_logins` is whether the file has both.
pub(crate) fn read(
    text: &str,
    has_logins: bool,
    default_target: Option<&Repository>,
    reader: &Reader<'_>,
) -> Result<Import, Error> {
    let mut import = Import::default();
    let rules = if has_logins {
        let file: WholeFile = yaml::parse(text, reader)?;
        // In this file a `$` is no variable.
        add_logins(file.auth, Syntax::Literal, reader, &mut import);
        import.remarks = reader.unread(&file.other, &[]);
        file.images
    } else {
        yaml::parse(text, reader)?
    };
    for (source, targets) in rules.into_sorted() {
        let (line, source) = (line(&source), source.value);
        for target in targets.into_texts() {
            let what = format!("{source} to {target}");
            match read_rule(&source, &target, line, default_target, reader) {
                Err(reason) => reader.add(&mut import, line, &what, Err(reason)),
                Ok(mirrored) => {
                    for mirrored in mirrored {
                        reader.add(&mut import, line, &what, Ok(mirrored));
                    }
                }
            }
        }
    }
    Ok(import)
}

/// Reads the file of logins.
pub(crate) fn read_logins(
    text: &str,
    reader: &Reader<'_>,
    import: &mut Import,
) -> Result<(), Error> {
    let logins = yaml::parse(text, reader)?;
    add_logins(logins, Syntax::Shell, reader, import);
    Ok(())
}

/// Adds logins: of a registry, or of a namespace on one.
fn add_logins(logins: Pairs<LoginKeys>, syntax: Syntax, reader: &Reader<'_>, import: &mut Import) {
    let logins = logins.into_sorted().into_iter();
    let logins = logins.map(|(key, keys)| (reference::host(&key.value), line(&key), keys));
    // The login of a whole registry counts before the login of a part.
    let (parts, whole): (Vec<_>, Vec<_>) = logins.partition(|(name, ..)| name.contains('/'));
    for (name, at, keys) in whole.into_iter().chain(parts) {
        let host = reference::host(name.split('/').next().unwrap_or_default());
        let mut read = reader.registry(&host, at);
        read.read_login([&keys.username, &keys.password].map(given), syntax, reader);
        if let Some(switch) = keys.insecure.as_ref().filter(|switch| switch.value) {
            read.skip_verification("insecure", line(switch), reader);
        }
        read.remarks.extend(reader.unread(&keys.other, &[]));
        let is_known = import.registries.iter().any(|known| known.name == host);
        if name.contains('/') && !is_known {
            let text = format!("the login of {name} is used for all of {host}");
            read.remarks.push(reader.note(at, text));
        }
        import.merge(read, &name, reader);
    }
}

/// Reads one rule: several if tags get new names.
fn read_rule(
    source: &str,
    target: &str,
    line: usize,
    default_target: Option<&Repository>,
    reader: &Reader<'_>,
) -> Result<Vec<Mirrored>, Unfilled> {
    let (source, tags, filters) = split(source, line, reader)?;
    let (target, new, _) = match target.trim() {
        "" => {
            let missing = "it has no target: image-syncer's --registry and --namespace name one, \
                           so pass them as --target REGISTRY/NAMESPACE";
            let default = default_target.ok_or_else(|| missing.to_owned())?;
            (default.below(source.name()), Vec::new(), Vec::new())
        }
        text => split(text, line, reader)?,
    };
    let mirrored = |tags, keys| Mirrored {
        routes: vec![(source.clone(), vec![target.clone()])],
        tags,
        keys,
        ..Mirrored::default()
    };
    if new.is_empty() {
        return Ok(vec![mirrored(TagSets::new(tags, filters), Keys::new())]);
    }
    if new.len() != tags.len() {
        let reason = "the target has tags, and the source does not have as many";
        return Err(reason.to_owned().into());
    }
    let pairs = tags.into_iter().zip(new).map(|(old, new)| {
        let tag = reference::rename(&old, &new).map(Setting::Text);
        mirrored(
            TagSets::new(vec![old], Vec::new()),
            model::keys([("tag", tag)]),
        )
    });
    Ok(pairs.collect())
}

/// A repository, and the tags behind it as `1,2` or the filter behind it as `/an expression/`.
type Selection = (Repository, Vec<String>, Vec<Result<Filter, String>>);

fn split(text: &str, line: usize, reader: &Reader<'_>) -> Result<Selection, Unfilled> {
    let fill = |text| reader.fill(text, Syntax::Shell, line);
    let bare = text.strip_suffix('/');
    if let Some((name, search)) = bare.and_then(|text| text.split_once(":/")) {
        let (repository, _) = reference::parse(&fill(name)?)?;
        let filter = Filter::matching(pattern::whole(search)?);
        return Ok((repository, Vec::new(), vec![Ok(filter)]));
    }
    let text = fill(text)?;
    let (name, tags) = match text.rsplit_once(':') {
        Some((name, tags)) if !tags.contains('/') && !text.contains('@') => (name, tags),
        _ => (text.as_str(), ""),
    };
    let (repository, _) = reference::parse(name)?;
    let tags = tags.split(',').map(|tag| tag.trim().to_owned());
    let tags: Vec<String> = tags.filter(|tag| !tag.is_empty()).collect();
    match tags.iter().find(|tag| !reference::is_tag(tag)) {
        Some(wrong) => Err(format!("`{wrong}` is not a tag").into()),
        None => Ok((repository, tags, Vec::new())),
    }
}
