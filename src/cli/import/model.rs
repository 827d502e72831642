//! What every reader makes of its file, and the writer makes `mirror.toml` of: the tools' words are
//! gone, and what cannot be carried over is a remark at its place.

use std::rc::Rc;

use secrecy::{ExposeSecret as _, SecretString};

use super::yaml::{BadYaml, Node};
use crate::oci::Repository;

/// Characters of a remark; a file may hold anything, so that some of it is cut.
const MOST_CHARS: usize = 300;

/// A whole file.
#[derive(Debug, Default)]
pub(super) struct Import {
    /// What concerns all of it.
    pub(super) remarks: Vec<Remark>,
    pub(super) registries: Vec<Registry>,
    pub(super) items: Vec<Item>,
}

/// Something told twice: on standard error, and in the output as a comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remark {
    pub(super) place: Place,
    pub(super) text: String,
    /// Whether the original does something that the output does not.
    pub(super) is_loss: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: Rc<str>,
    /// 0 is all of the file.
    pub(super) line: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => f.write_str(&printable(&self.file)),
            line => write!(f, "{}:{line}", printable(&self.file)),
        }
    }
}

/// What stands in a row in the output.
#[derive(Debug)]
pub(super) enum Item {
    Entry(Box<Entry>),
    /// What could not become an entry.
    Lost(Remark),
}

/// From one repository, or one pattern of them, to one target or several: what a `[[mirror]]` says.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) place: Place,
    /// Entries of one group may stand in one `[[mirror]]`.
    pub(super) group: String,
    pub(super) name: Option<String>,
    pub(super) source: Source,
    /// Where to; never empty.
    pub(super) targets: Vec<Target>,
    pub(super) tags: Tags,
    pub(super) keys: Keys,
    pub(super) remarks: Vec<Remark>,
    /// Why it is written as a comment, if it is.
    pub(super) refused: Option<String>,
}

/// Where images come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Repository(Repository),
    /// A registry and a pattern for paths, in which a `*` stands.
    Pattern(String),
}

/// A registry, and the repository there; of a [`Source::Pattern`] the path above all of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Target {
    pub(super) registry: String,
    pub(super) path: String,
}

/// Which tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tags {
    /// These, which are not listed.
    Named(Vec<String>),
    /// Those listed that pass.
    Listed(Selectors),
}

/// The selectors of `mirror.toml`, ANDed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Selectors {
    pub(super) tags: Vec<String>,
    pub(super) regex: Option<String>,
    pub(super) semver: Option<String>,
    pub(super) exclude: Vec<String>,
    /// Whether nothing need match, for what else is selected of the repository stands elsewhere.
    pub(super) may_be_empty: bool,
}

/// The other keys of a `[[mirror]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Keys {
    /// What a tag is called at the target.
    pub(super) tag: Option<String>,
    pub(super) schedule: Option<String>,
    pub(super) is_paused: bool,
    pub(super) platforms: Vec<String>,
    pub(super) referrers: Option<Referrers>,
    pub(super) backup_tag: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Referrers {
    All,
    Types(Vec<String>),
}

/// A `[registries."name"]`.
#[derive(Clone, Debug)]
pub(super) struct Registry {
    pub(super) place: Place,
    pub(super) name: String,
    pub(super) login: Login,
    pub(super) plain_http: bool,
    pub(super) endpoint: Option<String>,
    pub(super) connections: Option<u64>,
    pub(super) requests_per_second: Option<f64>,
    pub(super) chunk_bytes: Option<u64>,
    pub(super) remarks: Vec<Remark>,
    /// Why it is written as a comment, if it is.
    pub(super) refused: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) enum Login {
    None,
    Password { username: String, secret: Secret },
    Helper(String),
}

/// Where a password is. None that was read is ever written.
#[derive(Clone, Debug)]
pub(super) enum Secret {
    Env(String),
    File(String),
    /// In the file that was read; an environment variable is to have it.
    Given(SecretString),
}

impl Item {
    /// Where it comes from.
    pub(super) fn place(&self) -> &Place {
        match self {
            Self::Entry(entry) => &entry.place,
            Self::Lost(remark) => &remark.place,
        }
    }
}

impl Source {
    /// The registry's name.
    pub(super) fn registry(&self) -> String {
        match self {
            Self::Repository(repository) => repository.registry().to_string(),
            Self::Pattern(name) => name.split('/').next().unwrap_or_default().into(),
        }
    }
}

impl Registry {
    pub(super) fn new(name: impl Into<String>, place: Place) -> Self {
        Self {
            place,
            name: name.into(),
            login: Login::None,
            plain_http: false,
            endpoint: None,
            connections: None,
            requests_per_second: None,
            chunk_bytes: None,
            remarks: Vec::new(),
            refused: None,
        }
    }

    /// Whether anything is said of it.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self.login, Login::None)
            && !self.plain_http
            && self.endpoint.is_none()
            && self.connections.is_none()
            && self.requests_per_second.is_none()
            && self.chunk_bytes.is_none()
            && self.remarks.is_empty()
    }

    /// What a switch that no longer looks at certificates stands for: plain HTTP where a registry
    /// is likely to speak that, and nothing elsewhere, for certificates are always looked at.
    pub(super) fn skip_verification(&mut self, key: &str, teller: &Teller, line: usize) {
        let host = self.name.split(':').next().unwrap_or_default();
        let port = self.name.split_once(':').map(|(_, port)| port);
        let is_own = host == "localhost" || host.parse::<std::net::Ipv4Addr>().is_ok();
        self.plain_http = is_own || port.is_some_and(|port| port != "443");
        self.remarks.push(match self.plain_http {
            true => teller.note(
                line,
                format!("`{key}` is taken for plain HTTP; if it speaks TLS, put `ca_file` instead"),
            ),
            false => teller.loss(
                line,
                format!("`{key}`: certificates are always verified; name the CA with `ca_file`"),
            ),
        });
    }
}

impl Target {
    /// A place below this one.
    pub(super) fn below(&self, path: &str) -> Self {
        let parts = [self.path.as_str(), path].into_iter();
        let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
        Self {
            registry: self.registry.clone(),
            path: parts.join("/"),
        }
    }
}

impl Login {
    /// Whether both are the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::None, Self::None) => true,
            (Self::Helper(a), Self::Helper(b)) => a == b,
            (
                Self::Password { username, secret },
                Self::Password {
                    username: other,
                    secret: theirs,
                },
            ) => username == other && secret.is_same(theirs),
            _ => false,
        }
    }
}

impl Secret {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Env(a), Self::Env(b)) | (Self::File(a), Self::File(b)) => a == b,
            (Self::Given(a), Self::Given(b)) => a.expose_secret() == b.expose_secret(),
            _ => false,
        }
    }
}

impl Import {
    /// The registry of this name, added if it is not there.
    pub(super) fn registry(&mut self, name: &str, place: Place) -> &mut Registry {
        let at = self.registries.iter().position(|r| r.name == name);
        let at = at.unwrap_or_else(|| {
            self.registries.push(Registry::new(name, place));
            self.registries.len() - 1
        });
        &mut self.registries[at]
    }
}

/// Makes remarks about one file.
#[derive(Clone, Debug)]
pub(super) struct Teller(pub(super) Rc<str>);

impl Teller {
    pub(super) fn place(&self, line: usize) -> Place {
        Place {
            file: self.0.clone(),
            line,
        }
    }

    /// Something that the output does not do.
    pub(super) fn loss(&self, line: usize, text: impl AsRef<str>) -> Remark {
        Remark {
            place: self.place(line),
            text: printable(text.as_ref()),
            is_loss: true,
        }
    }

    /// Something to know, or to do.
    pub(super) fn note(&self, line: usize, text: impl AsRef<str>) -> Remark {
        Remark {
            is_loss: false,
            ..self.loss(line, text)
        }
    }
}

/// On one line, whatever was in the file, and not too long.
pub(super) fn printable(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut clean: String = clean.take(MOST_CHARS + 1).collect();
    if clean.chars().count() > MOST_CHARS {
        clean.pop();
        clean.push('…');
    }
    clean
}

/// A platform, and a remark about it.
pub(super) type OnePlatform<'a> = (&'a str, Remark);

/// A map being read. What is left in it at the end is unknown.
pub(super) struct Fields<'a> {
    node: &'a Node,
    name: String,
    asked: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// Starts to read a map, called `name` in messages.
    pub(super) fn new(node: &'a Node, name: impl Into<String>) -> Result<Self, BadYaml> {
        let name = name.into();
        if node.map().is_none() {
            let message = format!("{name} has no keys");
            return Err(BadYaml::new(
                node.line,
                message,
                "write `key: value` into it",
            ));
        }
        Ok(Self {
            node,
            name,
            asked: Vec::new(),
        })
    }

    pub(super) fn line(&self) -> usize {
        self.node.line
    }

    /// The value of a key, if it is there and not null.
    pub(super) fn get(&mut self, key: &'static str) -> Option<&'a Node> {
        self.asked.push(key);
        self.node.get(key)
    }

    /// The text of a key; an empty one counts as none.
    pub(super) fn text(&mut self, key: &'static str) -> Result<Option<&'a str>, BadYaml> {
        let Some(node) = self.get(key) else {
            return Ok(None);
        };
        match node.text() {
            Some(text) => Ok(Some(text).filter(|text| !text.is_empty())),
            None => Err(self.wrong(node, key, "a text")),
        }
    }

    /// The texts of a key, which may be one or a list of them.
    pub(super) fn texts(&mut self, key: &'static str) -> Result<Vec<&'a str>, BadYaml> {
        let Some(node) = self.get(key) else {
            return Ok(Vec::new());
        };
        let texts = match (node.list(), node.text()) {
            (Some(nodes), _) => nodes.iter().map(Node::text).collect(),
            (None, text) => text.map(|text| vec![text]),
        };
        texts.ok_or_else(|| self.wrong(node, key, "a list of texts"))
    }

    /// The entries of a key that is a list.
    pub(super) fn list(&mut self, key: &'static str) -> Result<&'a [Node], BadYaml> {
        let Some(node) = self.get(key) else {
            return Ok(&[]);
        };
        node.list().ok_or_else(|| self.wrong(node, key, "a list"))
    }

    /// The entries of a key that is a map.
    pub(super) fn map(&mut self, key: &'static str) -> Result<&'a [(Node, Node)], BadYaml> {
        let Some(node) = self.get(key) else {
            return Ok(&[]);
        };
        node.map().ok_or_else(|| self.wrong(node, key, "a map"))
    }

    /// A key that is true or false.
    pub(super) fn switch(&mut self, key: &'static str) -> Result<Option<bool>, BadYaml> {
        let Some(node) = self.get(key) else {
            return Ok(None);
        };
        let switch = node.switch();
        switch
            .map(Some)
            .ok_or_else(|| self.wrong(node, key, "true or false"))
    }

    /// A key that is a number.
    pub(super) fn number(&mut self, key: &'static str) -> Result<Option<f64>, BadYaml> {
        let Some(node) = self.get(key) else {
            return Ok(None);
        };
        let number = node.text().and_then(|text| text.parse::<f64>().ok());
        let number = number.filter(|number| number.is_finite());
        number
            .map(Some)
            .ok_or_else(|| self.wrong(node, key, "a number"))
    }

    /// A text that has to be there.
    pub(super) fn needed(&mut self, key: &'static str) -> Result<&'a str, BadYaml> {
        self.text(key)?.ok_or_else(|| {
            let message = format!("{} has no `{key}`", self.name);
            BadYaml::new(self.node.line, message, "add it, or remove the entry")
        })
    }

    /// `platform`: the one platform that an image is copied for, and what is to be known of it.
    pub(super) fn platform(&mut self, teller: &Teller) -> Result<Option<OnePlatform<'a>>, BadYaml> {
        let text = self.text("platform")?.filter(|text| *text != "all");
        let line = self
            .get("platform")
            .map_or(self.node.line, |node| node.line);
        let note = "`platform`: an index stays one, with the platforms that are wanted in it, where \
                    the original puts the image itself in its place";
        Ok(text.map(|text| (text, teller.note(line, note))))
    }

    /// The keys that are set, with why each is not carried over.
    pub(super) fn losses(&mut self, teller: &Teller, why: &[(&'static str, &str)]) -> Vec<Remark> {
        let told = why.iter().filter_map(|(key, why)| {
            let node = self.get(key)?;
            Some(teller.loss(node.line, format!("`{key}`: {why}")))
        });
        told.collect()
    }

    /// The same for keys without which nothing is missing.
    pub(super) fn notes(&mut self, teller: &Teller, why: &[(&'static str, &str)]) -> Vec<Remark> {
        let losses = self.losses(teller, why).into_iter();
        losses
            .map(|remark| Remark {
                is_loss: false,
                ..remark
            })
            .collect()
    }

    /// The keys that nobody asked for.
    pub(super) fn unknown(&self, teller: &Teller) -> Vec<Remark> {
        let pairs = self.node.map().unwrap_or_default().iter();
        let unknown = pairs.filter(|(key, value)| {
            let name = key.text().unwrap_or_default();
            !value.is_null() && !name.starts_with("x-") && !self.asked.contains(&name)
        });
        unknown
            .map(|(key, _)| {
                let name = key.text().unwrap_or("…");
                teller.loss(key.line, format!("`{name}` is not known here"))
            })
            .collect()
    }

    fn wrong(&self, node: &Node, key: &str, wanted: &str) -> BadYaml {
        let message = format!("`{key}` of {} is not {wanted}", self.name);
        BadYaml::new(node.line, message, "correct it, or remove the key")
    }
}
