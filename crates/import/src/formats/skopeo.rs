//! The file that `skopeo sync --src yaml` reads
//! ([manual](https://github.com/containers/skopeo/blob/main/docs/skopeo-sync.1.md)).

use super::{Mirrored, Reader};
use crate::{
    diagnostics::Error,
    model::{Import, Item},
    reference::{self, Repository},
    tags::{
        Filter, TagSets, pattern,
        range::{self, Dialect},
    },
    template::{Syntax, Unfilled},
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
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    pub(crate) target: Repository,
    /// Whether the whole name of a source is kept below the target, and not its last part.
    pub(crate) is_scoped: bool,
}

/// What is wanted of one repository.
#[derive(Debug, Default)]
struct Wanted {
    line: usize,
    name: String,
    is_all: bool,
    names: Vec<String>,
    filters: Vec<Result<Filter, String>>,
    lost: Vec<String>,
}

/// Reads the file.
pub(crate) fn read(
    text: &str,
    destination: &Destination,
    reader: &Reader<'_>,
) -> Result<Import, Error> {
    let registries: Pairs<RegistryKeys> = yaml::parse(text, reader)?;
    let mut import = Import::default();
    for (name, keys) in registries.into_sorted() {
        let host = reference::host(&name.value);
        add_settings(&keys, &host, line(&name), reader, &mut import);
        for wanted in wanted(keys) {
            let what = format!("{host}/{}", wanted.name);
            for lost in &wanted.lost {
                let remark = reader.loss(wanted.line, format!("{what}: {lost}"));
                import.items.push(Item::Lost(remark));
            }
            if wanted.is_all || !wanted.names.is_empty() || !wanted.filters.is_empty() {
                let line = wanted.line;
                reader.add(
                    &mut import,
                    line,
                    &what,
                    wanted.mirrored(&what, destination),
                );
            }
        }
    }
    Ok(import)
}

/// The repositories of a registry. What any of the keys selects is wanted.
fn wanted(keys: RegistryKeys) -> Vec<Wanted> {
    let mut found: Vec<Wanted> = Vec::new();
    for (key, tags) in keys.images.into_sorted() {
        let mut wanted = Wanted::of(&key);
        wanted.is_all = tags.is_empty();
        for tag in tags.into_iter().flatten() {
            match (reference::is_tag(&tag), tag.contains(':')) {
                (true, _) => wanted.names.push(tag),
                (false, true) => wanted.lost.push(reference::of_digest()),
                (false, false) => wanted.lost.push(format!("`{tag}` is not a tag")),
            }
        }
        found.push(wanted);
    }
    let by_regex = keys.by_regex.into_sorted().into_iter();
    let by_regex = by_regex.map(|(key, text)| (key, pattern::whole(&text).map(Filter::matching)));
    let by_semver = keys.by_semver.into_sorted().into_iter();
    let by_semver = by_semver.map(|(key, text)| (key, in_range(&text)));
    for (key, filter) in by_regex.chain(by_semver) {
        let known = found.iter().position(|wanted| wanted.name == key.value);
        let at = known.unwrap_or_else(|| {
            found.push(Wanted::of(&key));
            found.len() - 1
        });
        found[at].filters.push(filter);
    }
    found
}

fn in_range(text: &str) -> Result<Filter, String> {
    let ranges = range::parse(text, Dialect::Masterminds)?;
    let all = Filter::default();
    Ok(Filter { ranges, ..all })
}

impl Wanted {
    fn of(key: &Text) -> Self {
        let (line, name) = (line(key), key.value.clone());
        let nothing = Self::default();
        Self {
            line,
            name,
            ..nothing
        }
    }

    fn mirrored(self, what: &str, destination: &Destination) -> Result<Mirrored, Unfilled> {
        let (source, tag) = reference::parse(what)?;
        if tag.is_some() {
            let reason = "it is a name with a tag: write the tag into the list";
            return Err(reason.to_owned().into());
        }
        let filters = if self.is_all {
            Vec::new()
        } else {
            self.filters
        };
        // A port's colon is not legal in a path.
        let registry = source.registry.replace(':', "-");
        let path = match destination.is_scoped {
            true => format!("{registry}/{}", source.path),
            false => source.name().into(),
        };
        Ok(Mirrored {
            routes: vec![(source, vec![destination.target.below(&path)])],
            tags: TagSets::new(self.names, filters),
            ..Mirrored::default()
        })
    }
}

/// The login of a registry, and how it is reached.
fn add_settings(
    keys: &RegistryKeys,
    host: &str,
    at: usize,
    reader: &Reader<'_>,
    import: &mut Import,
) {
    let registry = import.registry(host, reader.place(at));
    let (user, password) = (&keys.credentials.username, &keys.credentials.password);
    registry.read_login(given(user), given(password), Syntax::Literal, reader);
    if let Some(switch) = keys.tls_verify.as_ref().filter(|switch| !switch.value) {
        registry.skip_verification("tls-verify", line(switch), reader);
    }
    for other in [&keys.credentials.other, &keys.other] {
        registry.remarks.extend(reader.unread(other, &[]));
    }
}
