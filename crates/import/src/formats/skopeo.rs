//! The file that `skopeo sync --src yaml` reads
//! ([manual](https://github.com/containers/skopeo/blob/main/docs/skopeo-sync.1.md)).

use super::{DOCKER_LOGINS, Mirrored, ONE_PLATFORM};
use crate::{
    Options,
    diagnostics::Error,
    model::Import,
    reader::Reader,
    reference::{self, Repository},
    tags::{
        Tags, pattern,
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

/// Reads the file. Only skopeo's command line says where to copy to.
pub(crate) fn read(
    text: &str,
    target: &Repository,
    options: &Options<'_>,
    reader: &Reader<'_>,
) -> Result<Import, Error> {
    let registries: Pairs<RegistryKeys> = yaml::parse(text, reader)?;
    let mut import = Import::default();
    reader.note(0, ONE_PLATFORM);
    reader.note(0, DOCKER_LOGINS);
    for (name, keys) in registries.into_sorted() {
        let host = reference::host(&name.value);
        let mut registry = reader.registry(&host, line(&name));
        let login = [&keys.credentials.username, &keys.credentials.password];
        registry.read_login(login.map(given), Syntax::Literal, reader);
        if let Some(switch) = keys.tls_verify.as_ref().filter(|switch| !switch.value) {
            registry.skip_verification("tls-verify", line(switch), reader);
        }
        reader.unread(&keys.credentials.other, "");
        reader.unread(&keys.other, "");
        import.merge(registry, &host, reader);
        let mut add = |key: &Text, tags| {
            let (line, what) = (line(key), format!("{host}/{}", key.value));
            let read = mirrored(&what, tags, target, options);
            import.add(line, &what, read.map_err(Into::into), reader);
        };
        for (key, tags) in keys.images.into_sorted() {
            let tags = tags.into_iter().flatten();
            let (names, wrong): (Vec<_>, Vec<_>) = tags.partition(|tag| reference::is_tag(tag));
            for tag in &wrong {
                let reason = match tag.contains(':') {
                    true => reference::OF_DIGEST.into(),
                    false => format!("`{tag}` is not a tag"),
                };
                add(&key, Err(reason));
            }
            if wrong.is_empty() || !names.is_empty() {
                add(&key, Ok(Tags::named(names)));
            }
        }
        for (key, search) in keys.by_regex.into_sorted() {
            add(&key, pattern::whole(&search).map(Tags::matching));
        }
        for (key, text) in keys.by_semver.into_sorted() {
            let ranges = range::parse(&text, Dialect::Masterminds);
            add(&key, ranges.map(Tags::in_ranges));
        }
    }
    Ok(import)
}

fn mirrored(
    what: &str,
    tags: Result<Tags, String>,
    target: &Repository,
    options: &Options<'_>,
) -> Result<Mirrored, String> {
    let (source, tag) = reference::parse(what)?;
    if tag.is_some() {
        return Err("it is a name with a tag: write the tag into the list".into());
    }
    // A port's colon is not legal in a path.
    let registry = source.registry.replace(':', "-");
    let path = match options.is_scoped {
        true => format!("{registry}/{}", source.path),
        false => source.name().into(),
    };
    let target = target.below(&path);
    Ok(Mirrored::new(vec![(source, target)], tags))
}
