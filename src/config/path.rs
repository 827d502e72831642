//! The path template: where on a target a source repository goes.

use crate::oci::{RegistryName, Repository};

/// A parsed `path`, such as `{registry}/{repository}`.
#[derive(Clone, Debug)]
pub(super) struct PathTemplate(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Field { field: Field, flatten: bool },
}

#[derive(Clone, Copy, Debug)]
enum Field {
    Registry,
    Repository,
    Namespace,
    Name,
}

/// What a template may hold, for messages.
pub(super) const PATH_HELP: &str = "use {registry}, {repository}, {namespace} and {name}; \
     {repository|flatten} writes `-` for each `/`";

impl PathTemplate {
    /// Parses a template, or says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((inside, after)) = after.split_once('}') else {
                return Err("a `{` is never closed".into());
            };
            parts.push(Part::Text(before.into()));
            parts.push(parse_field(inside)?);
            rest = after;
        }
        parts.push(Part::Text(rest.into()));
        Ok(Self(parts))
    }

    /// The path on the target for a source repository.
    pub(super) fn render(&self, source: &Repository) -> String {
        let mut path = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => path.push_str(text),
                Part::Field {
                    field,
                    flatten: false,
                } => path.push_str(&field.of(source)),
                Part::Field {
                    field,
                    flatten: true,
                } => {
                    path.push_str(&field.of(source).replace('/', "-"));
                }
            }
        }
        path
    }
}

fn parse_field(text: &str) -> Result<Part, String> {
    let mut words = text.split('|').map(str::trim);
    let field = match words.next().unwrap_or_default() {
        "registry" => Field::Registry,
        "repository" => Field::Repository,
        "namespace" => Field::Namespace,
        "name" => Field::Name,
        other => return Err(format!("unknown field `{{{other}}}`")),
    };
    match (words.next(), words.next()) {
        (None, _) => Ok(Part::Field {
            field,
            flatten: false,
        }),
        (Some("flatten"), None) => Ok(Part::Field {
            field,
            flatten: true,
        }),
        (Some(other), _) => Err(format!("unknown filter `{other}`")),
    }
}

impl Field {
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
