//! image-syncer's rules and logins, in one file or in two
//! ([manual](https://github.com/AliyunContainerService/image-syncer)).

use serde_saphyr::Spanned;

use super::Mirrored;
use crate::{
    diagnostics::Error,
    model::Import,
    reader::{Reader, Unread},
    reference::{self, Repository},
    tags::{Tags, pattern},
    template::Syntax,
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
    pub(crate) struct LoginKeys {
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
        reader.unread(&file.other, "");
        file.images
    } else {
        yaml::parse(text, reader)?
    };
    for (source, targets) in rules.into_sorted() {
        let (line, source) = (line(&source), source.value);
        for target in targets.into_texts() {
            let what = format!("{source} to {target}");
            let read = read_rule([&source, &target], line, default_target, reader);
            import.add(line, &what, read, reader);
        }
    }
    Ok(import)
}

/// Adds logins: of a registry, or of a namespace on one.
pub(crate) fn add_logins(
    logins: Pairs<LoginKeys>,
    syntax: Syntax,
    reader: &Reader<'_>,
    import: &mut Import,
) {
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
        reader.unread(&keys.other, "");
        let is_known = import.registries.iter().any(|known| known.name == host);
        if name.contains('/') && !is_known {
            let text = format!("the login of {name} is used for all of {host}");
            reader.note(at, text);
        }
        import.merge(read, &name, reader);
    }
}

fn read_rule(
    [source, target]: [&str; 2],
    line: usize,
    default_target: Option<&Repository>,
    reader: &Reader<'_>,
) -> Result<Mirrored, Unread> {
    let (source, mut tags) = split(source, line, reader)?;
    let (target, new) = match (target.trim(), default_target) {
        ("", Some(default)) => (default.below(source.name()), Tags::default()),
        ("", None) => {
            let missing = "it has no target: image-syncer's --registry and --namespace name one, \
                           so pass them as --target REGISTRY/NAMESPACE";
            return Err(missing.to_owned().into());
        }
        (text, _) => split(text, line, reader)?,
    };
    if !new.names.is_empty() {
        if new.names.len() != tags.names.len() {
            let reason = "the target has tags, and the source does not have as many";
            return Err(reason.to_owned().into());
        }
        let old = std::mem::take(&mut tags.names).into_iter();
        tags.renamed = old.zip(new.names).collect();
    }
    Ok(Mirrored::new(vec![(source, target)], Ok(tags)))
}

/// A repository, and the tags behind it as `1,2` or the filter behind it as `/an expression/`.
fn split(text: &str, line: usize, reader: &Reader<'_>) -> Result<(Repository, Tags), Unread> {
    let fill = |text| reader.fill(text, Syntax::Shell, line, &[]);
    let bare = text.strip_suffix('/');
    if let Some((name, search)) = bare.and_then(|text| text.split_once(":/")) {
        let (repository, _) = reference::parse(&fill(name)?)?;
        return Ok((repository, Tags::matching(pattern::whole(search)?)));
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
        None => Ok((repository, Tags::named(tags))),
    }
}
