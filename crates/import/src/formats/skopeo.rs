//! The file that `skopeo sync --src yaml` reads
//! ([manual](https://github.com/containers/skopeo/blob/main/docs/skopeo-sync.1.md)).

use super::{Mirrored, Reader};
use crate::{
    diagnostics::Error,
    model::Import,
    reference::{self, Repository},
    tags::{
        Filter, TagSets, pattern,
        range::{self, Dialect},
    },
    template::Syntax,
    yaml::{self, Pairs, Text, given, line},
};

yaml::record! {
    struct RegistryKeys {
        images: Pairs<Vec<Option<String>>> = "images",
        by_regex: Pairs<String> = "images-by-tag-regex",
        by_semver: Pairs<String> = "images-by-semver",
        credentials: Credentials = "credentials",
        tls_verify: Option<serde_saphyr::Spanned<bool>> = "tls-verify",
    }
}

yaml::record! {
    struct Credentials {
        username: Option<Text> = "username",
        password: Option<Text> = "password",
    }
}

/// Where skopeo copies to. Only its command line says so.
pub(crate) struct Destination {
    pub(crate) target: Repository,
    /// Whether the whole name of a source is kept below the target, and not its last part.
    pub(crate) is_scoped: bool,
}

/// Reads the file.
pub(crate) fn read(text: &str, to: &Destination, reader: &Reader<'_>) -> Result<Import, Error> {
    let registries: Pairs<RegistryKeys> = yaml::parse(text, reader)?;
    let mut import = Import::default();
    for (name, keys) in registries.into_sorted() {
        let host = reference::host(&name.value);
        let mut registry = reader.registry(&host, line(&name));
        let login = [&keys.credentials.username, &keys.credentials.password];
        registry.read_login(login.map(given), Syntax::Literal, reader);
        if let Some(switch) = keys.tls_verify.as_ref().filter(|switch| !switch.value) {
            registry.skip_verification("tls-verify", line(switch), reader);
        }
        for other in [&keys.credentials.other, &keys.other] {
            registry.remarks.extend(reader.unread(other, &[]));
        }
        import.merge(registry, &host, reader);
        let mut add = |key: Text, tags| {
            let (line, what) = (line(&key), format!("{host}/{}", key.value));
            let read = to.mirrored(&what, tags);
            reader.add(&mut import, line, &what, read.map_err(Into::into));
        };
        for (key, tags) in keys.images.into_sorted() {
            let (names, wrong): (Vec<_>, Vec<_>) = tags
                .into_iter()
                .flatten()
                .partition(|tag| reference::is_tag(tag));
            for tag in &wrong {
                let reason = match tag.contains(':') {
                    true => reference::of_digest(),
                    false => format!("`{tag}` is not a tag"),
                };
                add(key.clone(), Err(reason));
            }
            if wrong.is_empty() || !names.is_empty() {
                add(key, Ok((names, Vec::new())));
            }
        }
        for (key, search) in keys.by_regex.into_sorted() {
            let filter = pattern::whole(&search).map(Filter::matching);
            add(key, Ok((Vec::new(), vec![filter])));
        }
        for (key, text) in keys.by_semver.into_sorted() {
            let ranges = range::parse(&text, Dialect::Masterminds);
            add(key, Ok((Vec::new(), vec![ranges.map(Filter::in_ranges)])));
        }
    }
    Ok(import)
}

/// Named tags and filters, or why there are none.
type Tags = Result<(Vec<String>, Vec<Result<Filter, String>>), String>;

impl Destination {
    fn mirrored(&self, what: &str, tags: Tags) -> Result<Mirrored, String> {
        let ((source, tag), (names, filters)) = (reference::parse(what)?, tags?);
        if tag.is_some() {
            return Err("it is a name with a tag: write the tag into the list".into());
        }
        // A port's colon is not legal in a path.
        let registry = source.registry.replace(':', "-");
        let path = match self.is_scoped {
            true => format!("{registry}/{}", source.path),
            false => source.name().into(),
        };
        Ok(Mirrored {
            routes: vec![(source, vec![self.target.below(&path)])],
            tags: TagSets::new(names, filters),
            ..Mirrored::default()
        })
    }
}
