//! image-syncer's rules and logins, in one file or in two
//! ([manual](https://github.com/AliyunContainerService/image-syncer)).

use serde_saphyr::Spanned;

use super::{Mirrored, Reader};
use crate::{
    diagnostics::Error,
    model::{Import, Registry, Setting},
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
        let (host, part) = name.split_once('/').unwrap_or((&name, ""));
        let host = reference::host(host);
        let mut read = Registry::new(&host, reader.place(at));
        let (user, password) = (given(&keys.username), given(&keys.password));
        read.read_login(user, password, syntax, reader);
        if let Some(switch) = keys.insecure.as_ref().filter(|switch| switch.value) {
            read.skip_verification("insecure", line(switch), reader);
        }
        read.remarks.extend(reader.unread(&keys.other, &[]));
        let known = import.registry(&host, reader.place(at));
        if part.is_empty() {
            *known = read;
        } else if known.login.is_empty() {
            let text = format!("the login of {name} is used for all of {host}");
            read.remarks.push(reader.note(at, text));
            *known = read;
        } else if known.login != read.login {
            let text = format!("the login of {name}: a registry has one login");
            known.remarks.push(reader.loss(at, text));
        }
    }
}

/// What stands behind a repository.
enum Selection {
    Nothing,
    Tags(Vec<String>),
    /// An expression for the whole tag.
    Matching(String),
}

/// Reads one rule: several where tags get new names that no one `tag` gives them.
fn read_rule(
    source: &str,
    target: &str,
    line: usize,
    default_target: Option<&Repository>,
    reader: &Reader<'_>,
) -> Result<Vec<Mirrored>, Unfilled> {
    let (source, selection) = split(source, line, reader)?;
    let (target, new) = match target.trim() {
        "" => {
            let missing = "it has no target: image-syncer's --registry and --namespace name one, \
                           so pass them as --target REGISTRY/NAMESPACE";
            let default = default_target.ok_or_else(|| missing.to_owned())?;
            (default.below(source.name()), Selection::Nothing)
        }
        text => split(text, line, reader)?,
    };
    let mut groups: Vec<(Option<String>, TagSets)> = Vec::new();
    match (selection, new) {
        (Selection::Nothing, Selection::Nothing) => {
            groups.push((None, TagSets::new(Vec::new(), Vec::new())));
        }
        (Selection::Tags(names), Selection::Nothing) => {
            groups.push((None, TagSets::new(names, Vec::new())));
        }
        (Selection::Matching(whole), Selection::Nothing) => {
            let filter = Ok(Filter::matching(whole));
            groups.push((None, TagSets::new(Vec::new(), vec![filter])));
        }
        (Selection::Tags(old), Selection::Tags(new)) if old.len() == new.len() => {
            for (old, new) in old.into_iter().zip(new) {
                let tag = reference::rename(&old, &new);
                match groups.iter_mut().find(|(known, _)| *known == tag) {
                    Some((_, tags)) => tags.sets[0].0.push(old),
                    None => groups.push((tag, TagSets::new(vec![old], Vec::new()))),
                }
            }
        }
        _ => {
            let reason = "the target has tags, and the source does not have as many";
            return Err(reason.to_owned().into());
        }
    }
    let mirrored = groups.into_iter().map(|(tag, tags)| Mirrored {
        routes: vec![(source.clone(), vec![target.clone()])],
        tags,
        keys: tag
            .map(|tag| ("tag", Setting::Text(tag)))
            .into_iter()
            .collect(),
        ..Mirrored::default()
    });
    Ok(mirrored.collect())
}

/// A repository and what stands behind it: nothing, `1,2` or `/an expression/`.
fn split(
    text: &str,
    line: usize,
    reader: &Reader<'_>,
) -> Result<(Repository, Selection), Unfilled> {
    let fill = |text| reader.fill(text, Syntax::Shell, line);
    let search = text
        .strip_suffix('/')
        .and_then(|text| text.split_once(":/"));
    if let Some((name, search)) = search {
        let (repository, _) = reference::parse(&fill(name)?)?;
        return Ok((repository, Selection::Matching(pattern::whole(search)?)));
    }
    let text = fill(text)?;
    let (name, tags) = match text.rsplit_once(':') {
        Some((name, tags)) if !tags.contains('/') && !text.contains('@') => (name, tags),
        _ => (text.as_str(), ""),
    };
    let (repository, _) = reference::parse(name)?;
    if tags.is_empty() {
        return Ok((repository, Selection::Nothing));
    }
    let tags: Vec<String> = tags.split(',').map(|tag| tag.trim().to_owned()).collect();
    match tags.iter().find(|tag| !reference::is_tag(tag)) {
        Some(wrong) => Err(format!("`{wrong}` is not a tag").into()),
        None => Ok((repository, Selection::Tags(tags))),
    }
}
