//! The file that `skopeo sync --src yaml` reads
//! ([its manual](https://github.com/containers/skopeo/blob/main/docs/skopeo-sync.1.md)).

use super::{
    image,
    model::{Entry, Fields, Import, Item, Keys, Login, Secret, Source, Target, Teller},
    pattern,
    range::{self, Dialect},
    tags::{Filter, Sets},
    yaml::{BadYaml, Node},
};
use crate::oci::Repository;

/// Where it copies to, which stands on its command line alone.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    pub(super) target: Target,
    /// Whether the whole name of a source is kept below it, and not its last part alone.
    pub(super) is_scoped: bool,
}

/// Reads the file.
pub(super) fn read(
    document: &Node,
    teller: &Teller,
    destination: &Destination,
) -> Result<Import, BadYaml> {
    let mut import = Import::default();
    for (key, node) in document.map().unwrap_or_default() {
        let host = image::host(key.text().unwrap_or_default());
        let mut fields = Fields::new(node, format!("`{host}`"))?;
        let found = images(&mut fields)?;
        settings(&mut fields, &host, teller, &mut import)?;
        import.items.extend(found.into_iter().flat_map(|found| {
            let line = found.line;
            match found.entries(&host, destination, teller) {
                Ok(entries) => entries,
                Err(reason) => vec![Item::Lost(teller.loss(line, reason))],
            }
        }));
    }
    for text in [
        "skopeo copies the platform of its machine alone unless it is run with --all; here all are \
         copied, or those that `platforms` names",
        "skopeo also uses what `skopeo login` and `docker login` have left; for a registry that \
         needs it set `login = \"docker-config\"`",
        "skopeo has no schedule: set one in [defaults], or run `transship sync` by the timer that \
         ran it",
    ] {
        import.remarks.push(teller.note(0, text));
    }
    Ok(import)
}

/// What is wanted of one repository.
#[derive(Default)]
struct Wanted {
    line: usize,
    name: String,
    /// Whether every tag is wanted.
    is_all: bool,
    names: Vec<String>,
    filters: Vec<Result<Filter, String>>,
    lost: Vec<String>,
}

fn images(fields: &mut Fields<'_>) -> Result<Vec<Wanted>, BadYaml> {
    let mut found: Vec<Wanted> = Vec::new();
    for (key, value) in fields.map("images")? {
        let mut wanted = Wanted::of(key);
        wanted.name(key, value)?;
        found.push(wanted);
    }
    // Whatever one of the keys takes is taken.
    let mut add = |key: &Node, filter: Result<Filter, String>| {
        let name = key.text().unwrap_or_default();
        let known = found.iter_mut().find(|wanted| wanted.name == name);
        match known {
            Some(known) => known.filters.push(filter),
            None => found.push(Wanted {
                filters: vec![filter],
                ..Wanted::of(key)
            }),
        }
    };
    for (key, value) in fields.map("images-by-tag-regex")? {
        let whole = pattern::whole(value.text().unwrap_or_default());
        add(
            key,
            whole.map(|whole| Filter {
                allow: vec![whole],
                ..Filter::default()
            }),
        );
    }
    for (key, value) in fields.map("images-by-semver")? {
        let ranges = range::parse(value.text().unwrap_or_default(), Dialect::Masterminds);
        add(
            key,
            ranges.map(|ranges| Filter {
                ranges,
                ..Filter::default()
            }),
        );
    }
    Ok(found)
}

impl Wanted {
    fn of(key: &Node) -> Self {
        Self {
            line: key.line,
            name: key.text().unwrap_or_default().into(),
            ..Self::default()
        }
    }

    /// Reads a list of tags, which is empty for all of them.
    fn name(&mut self, key: &Node, value: &Node) -> Result<(), BadYaml> {
        let help = "write a list of tags, [] for all of them";
        let texts: Option<Vec<&str>> = match value.is_null() {
            true => Some(Vec::new()),
            false => value
                .list()
                .and_then(|nodes| nodes.iter().map(Node::text).collect()),
        };
        let wrong = || BadYaml::new(key.line, "an image whose tags are no list", help);
        let texts = texts.ok_or_else(wrong)?;
        self.is_all = texts.is_empty();
        for text in texts {
            if image::is_tag(text) {
                self.names.push(text.into());
            } else if text.contains(':') {
                self.lost.push(format!("{text}: {}", image::of_digest()));
            } else {
                self.lost.push(format!("`{text}` is not a tag"));
            }
        }
        Ok(())
    }

    /// The sets of tags; none where all that is named was lost.
    fn sets(&self) -> Option<Sets> {
        if self.is_all {
            return Some(Sets::new(Vec::new(), &[]));
        }
        let is_empty = self.names.is_empty() && self.filters.is_empty();
        (!is_empty).then(|| Sets::new(self.names.clone(), &self.filters))
    }
}

impl Wanted {
    fn entries(
        &self,
        host: &str,
        destination: &Destination,
        teller: &Teller,
    ) -> Result<Vec<Item>, String> {
        let name = format!("{host}/{}", self.name);
        let why = |reason: String| format!("{name}: {reason}");
        let source = image::parse(&name).map_err(why)?;
        if source.tag.is_some() {
            return Err(why(
                "it is a name with a tag; write the tag into the list".into()
            ));
        }
        let lost = self.lost.iter().map(|lost| why(lost.clone()));
        let mut remarks: Vec<_> = lost.map(|lost| teller.loss(self.line, lost)).collect();
        let Some(made) = self.sets() else {
            return Ok(remarks.into_iter().map(Item::Lost).collect());
        };
        remarks.extend(made.lost.map(|lost| teller.loss(self.line, lost)));
        let target = destination.of(&source.repository);
        let items = made.sets.into_iter().map(|tags| {
            Item::Entry(Box::new(Entry {
                place: teller.place(self.line),
                group: host.into(),
                name: None,
                source: Source::Repository(source.repository.clone()),
                targets: vec![target.clone()],
                tags,
                keys: Keys::default(),
                remarks: std::mem::take(&mut remarks),
                refused: made.refused.clone(),
            }))
        });
        Ok(items.collect())
    }
}

impl Destination {
    /// Where skopeo puts a repository.
    fn of(&self, source: &Repository) -> Target {
        let path = source.path();
        match self.is_scoped {
            true => {
                // A port's colon is not legal in a path.
                let registry = source.registry().as_str().replace(':', "-");
                self.target.below(&format!("{registry}/{path}"))
            }
            false => self.target.below(path.rsplit('/').next().unwrap_or(path)),
        }
    }
}

/// The login of a registry, and how it is reached.
fn settings(
    fields: &mut Fields<'_>,
    host: &str,
    teller: &Teller,
    import: &mut Import,
) -> Result<(), BadYaml> {
    let line = fields.line();
    let registry = import.registry(host, teller.place(line));
    if let Some(node) = fields.get("credentials") {
        let mut credentials = Fields::new(node, "`credentials`")?;
        let username = credentials.text("username")?;
        let password = credentials.text("password")?;
        match (username, password) {
            (Some(username), Some(password)) => {
                registry.login = Login::Password {
                    username: username.into(),
                    secret: Secret::Given(password.into()),
                };
            }
            _ => registry.remarks.push(teller.loss(
                node.line,
                "`credentials`: `username` and `password` are no login without each other",
            )),
        }
        registry.remarks.extend(credentials.unknown(teller));
    }
    if let (Some(false), Some(node)) = (fields.switch("tls-verify")?, fields.get("tls-verify")) {
        registry.skip_verification("tls-verify", teller, node.line);
    }
    let why = "name the CA in it with `ca_file`, the client's certificate and key with \
               `client_cert` and `client_key`";
    registry
        .remarks
        .extend(fields.losses(teller, &[("cert-dir", why)]));
    registry.remarks.extend(fields.unknown(teller));
    Ok(())
}
