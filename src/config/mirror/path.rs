//! The path template: where on a target a source repository goes.

use crate::oci::{RegistryName, Repository};

/// A parsed `path`, such as `{registry}/{repository}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathTemplate(Vec<TemplatePart>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum TemplatePart {
    Text(String),
    Field {
        field: PathField,
        filters: Vec<PathFilter>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PathField {
    Registry,
    Repository,
    Namespace,
    Name,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PathFilter {
    /// This for each `/`.
    Join(&'static str),
    /// Without so many of the first parts, never without the last.
    Drop(usize),
    /// Only the last part.
    Last,
    /// A registry's nickname.
    Short,
}

/// What a template may hold, for messages.
pub(crate) const PATH_HELP: &str = "use {registry}, {repository}, {namespace} and {name}; filters \
     for `/` are |flatten (-), |dots (.) and |underscores (_), for parts |drop(1) and |last, and \
     {registry|short} is `k8s` for registry.k8s.io";

/// What mirrors in front of many registries call them.
const NICKNAMES: [(&str, &str); 8] = [
    ("docker.io", "docker"),
    ("gcr.io", "gcr"),
    ("ghcr.io", "ghcr"),
    ("quay.io", "quay"),
    ("mcr.microsoft.com", "mcr"),
    ("nvcr.io", "nvcr"),
    ("registry.k8s.io", "k8s"),
    ("k8s.gcr.io", "k8s-gcr"),
];

impl PathTemplate {
    /// Parses a template, or says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((inside, after)) = after.split_once('}') else {
                return Err("a `{` is never closed".into());
            };
            parts.push(TemplatePart::Text(before.into()));
            parts.push(parse_field(inside)?);
            rest = after;
        }
        parts.push(TemplatePart::Text(rest.into()));
        Ok(Self(parts))
    }

    /// The path on the target for a source repository.
    pub(crate) fn render(&self, source: &Repository) -> String {
        let mut path = String::new();
        for part in &self.0 {
            match part {
                TemplatePart::Text(text) => path.push_str(text),
                TemplatePart::Field { field, filters } => {
                    let value = field.of(source);
                    let filtered = filters
                        .iter()
                        .fold(value, |text, filter| filter.apply(text));
                    path.push_str(&filtered);
                }
            }
        }
        path
    }
}

fn parse_field(text: &str) -> Result<TemplatePart, String> {
    let mut words = text.split('|').map(str::trim);
    let field = match words.next().unwrap_or_default() {
        "registry" => PathField::Registry,
        "repository" => PathField::Repository,
        "namespace" => PathField::Namespace,
        "name" => PathField::Name,
        other => return Err(format!("unknown field `{{{other}}}`")),
    };
    let filters = words.map(|word| PathFilter::parse(word, field));
    Ok(TemplatePart::Field {
        field,
        filters: filters.collect::<Result<_, _>>()?,
    })
}

impl PathFilter {
    fn parse(text: &str, field: PathField) -> Result<Self, String> {
        let dropped = text
            .strip_prefix("drop(")
            .and_then(|text| text.strip_suffix(')'));
        match (text, dropped) {
            ("flatten", _) => Ok(Self::Join("-")),
            ("dots", _) => Ok(Self::Join(".")),
            ("underscores", _) => Ok(Self::Join("_")),
            ("last", _) => Ok(Self::Last),
            ("short", _) if field == PathField::Registry => Ok(Self::Short),
            ("short", _) => Err("`short` is a filter for {registry} only".into()),
            (_, Some(count)) => match count.trim().parse() {
                Ok(count) => Ok(Self::Drop(count)),
                Err(_) => Err(format!("`drop({count})` does not say how many parts")),
            },
            (other, None) => Err(format!("unknown filter `{other}`")),
        }
    }

    fn apply(self, text: String) -> String {
        match self {
            Self::Join(with) => text.replace('/', with),
            Self::Last => text.rsplit('/').next().unwrap_or_default().into(),
            Self::Drop(count) => {
                let parts: Vec<&str> = text.split('/').collect();
                parts[count.min(parts.len() - 1)..].join("/")
            }
            Self::Short => {
                let mut known = NICKNAMES.iter();
                let known = known.find(|(registry, _)| *registry == text);
                known.map_or(text, |(_, nickname)| (*nickname).into())
            }
        }
    }
}

impl PathField {
    fn of(self, source: &Repository) -> String {
        let path = source.path();
        let (namespace, name) = path.rsplit_once('/').unwrap_or(("", path));
        match self {
            Self::Registry => legal_component(source.registry()),
            Self::Repository => path.into(),
            Self::Namespace => namespace.into(),
            Self::Name => name.into(),
        }
    }
}

/// A registry's name as a path component: a port's colon is not legal there.
fn legal_component(registry: &RegistryName) -> String {
    registry.as_str().replace(':', "-").to_lowercase()
}

#[cfg(test)]
mod tests;
