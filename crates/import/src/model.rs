//! What every format becomes before `mirror.toml` is written.

use std::{fmt, net::Ipv4Addr, sync::Arc};

use toml_edit::{InlineTable, Value};

use crate::{
    diagnostics::{Place, Remark},
    reader::Reader,
    reference::Repository,
    template::{self, Syntax},
};

/// Columns of a line of `mirror.toml`.
pub(crate) const WIDTH: usize = 98;

/// A whole file.
#[derive(Debug, Default)]
pub(crate) struct Import {
    pub(crate) file: Arc<str>,
    /// The first line of the output.
    pub(crate) title: String,
    pub(crate) remarks: Vec<Remark>,
    pub(crate) registries: Vec<Registry>,
    pub(crate) entries: Vec<Entry>,
    /// How many things the file mirrors, with those that became no entry.
    pub(crate) count: usize,
}

/// From one repository, or one pattern of them, to its targets.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) place: Place,
    pub(crate) name: Option<String>,
    pub(crate) source: Repository,
    /// Never empty. For a pattern the places above what it finds.
    pub(crate) targets: Vec<Repository>,
    /// The tags that `from` names. None if selectors in `keys` select tags of the listing.
    pub(crate) tags: Vec<String>,
    pub(crate) keys: Keys,
    /// Why the entry is written as a comment, if it is.
    pub(crate) refused: Option<Remark>,
}

/// A `[registries."name"]`.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    pub(crate) place: Place,
    pub(crate) name: String,
    pub(crate) login: Keys,
    /// The password of the login if the file holds it. It is not written.
    pub(crate) password: Option<Sensitive>,
    pub(crate) keys: Keys,
    /// Why the table is written as a comment, if it is.
    pub(crate) refused: Option<Remark>,
}

/// A text that `Debug` does not show.
#[derive(PartialEq, Eq)]
pub(crate) struct Sensitive(String);

impl fmt::Debug for Sensitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Keys of `mirror.toml` in the order of the output.
pub(crate) type Keys = Vec<(&'static str, Toml)>;

/// The keys that have a value.
pub(crate) fn keys(all: impl IntoIterator<Item = (&'static str, Option<Toml>)>) -> Keys {
    let all = all.into_iter();
    all.filter_map(|(key, value)| Some((key, value?))).collect()
}

/// A value as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Toml(String);

impl fmt::Display for Toml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Toml {
    pub(crate) fn text(text: impl AsRef<str>) -> Self {
        Self(Value::from(text.as_ref()).to_string())
    }

    pub(crate) fn yes() -> Self {
        Self(true.to_string())
    }

    pub(crate) fn number(number: f64) -> Self {
        Self(number.to_string())
    }

    /// Where a secret is: `env`, `file` or `helper`, and its name.
    pub(crate) fn elsewhere(kind: &str, name: &str) -> Self {
        Self(Value::from(InlineTable::from_iter([(kind, name)])).to_string())
    }

    /// A text, or a list of several. None for no text.
    pub(crate) fn texts(texts: &[String]) -> Option<Self> {
        match texts {
            [text] => Some(Self::text(text)),
            texts => Self::list(texts),
        }
    }

    /// A list. None for no text.
    pub(crate) fn list(texts: &[String]) -> Option<Self> {
        (!texts.is_empty()).then(|| Self::lines(texts, WIDTH))
    }

    /// A list on one line if it fits into `width` columns, else with a line for each text.
    pub(crate) fn lines(texts: &[String], width: usize) -> Self {
        let texts: Vec<String> = texts.iter().map(|text| Self::text(text).0).collect();
        let line = format!("[{}]", texts.join(", "));
        match line.len() + 20 <= width {
            true => Self(line),
            false => Self(format!("[\n    {},\n]", texts.join(",\n    "))),
        }
    }

    /// Whether it is a text with a field, such as `{tag}`.
    pub(crate) fn is_template(&self) -> bool {
        self.0.contains('{')
    }
}

impl Registry {
    /// Sets the login that a file has as a user name and a password.
    pub(crate) fn read_login(
        &mut self,
        [user, password]: [Option<&str>; 2],
        syntax: Syntax,
        reader: &Reader<'_>,
    ) {
        let line = self.place.line;
        let (Some(user), Some(password)) = (user, password) else {
            if user.or(password).is_some() {
                reader.lose(
                    line,
                    "a user name and a password are no login without each other",
                );
            }
            return;
        };
        let places = [user, password].map(|text| template::elsewhere(text, syntax));
        let [Some(user_place), Some(password_place)] = places else {
            let text = "the login has a variable in a longer text: set `username` and `password`";
            return reader.lose(line, text);
        };
        self.login = vec![("username", user_place.unwrap_or_else(|| Toml::text(user)))];
        match password_place {
            Some(place) => self.login.push(("password", place)),
            None => self.password = Some(Sensitive(password.into())),
        }
    }

    /// Takes over a switch that turns the verification of certificates off: plain HTTP where a
    /// registry is likely to speak it, and a loss elsewhere.
    pub(crate) fn skip_verification(&mut self, key: &str, line: usize, reader: &Reader<'_>) {
        let (host, port) = self.name.split_once(':').unwrap_or((&self.name, "443"));
        let is_local = host == "localhost" || host.parse::<Ipv4Addr>().is_ok();
        if is_local || port != "443" {
            self.keys.push(("plain_http", Toml::yes()));
            let text = "is imported as plain HTTP: if it speaks TLS, put `ca_file` instead";
            reader.note(line, format!("`{key}` {text}"));
        } else {
            let text = "certificates are always verified: name the CA with `ca_file`";
            reader.lose(line, format!("`{key}`: {text}"));
        }
    }
}

impl Import {
    /// Adds what a file has about a registry, `what` in remarks, to what is known of it.
    pub(crate) fn merge(&mut self, mut read: Registry, what: &str, reader: &Reader<'_>) {
        let mut known = self.registries.iter_mut();
        let Some(known) = known.find(|known| known.name == read.name) else {
            self.registries.push(read);
            return;
        };
        if known.login.is_empty() {
            (known.login, known.password) = (read.login, read.password);
        } else if !read.login.is_empty()
            && (&known.login, &known.password) != (&read.login, &read.password)
        {
            let text = format!("the login of {what}: a registry has one login");
            reader.lose(read.place.line, text);
        }
        read.keys.retain(|key| !known.keys.contains(key));
        known.keys.append(&mut read.keys);
    }
}
