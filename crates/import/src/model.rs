//! What every format becomes before `mirror.toml` is written.

use std::{fmt, net::Ipv4Addr, sync::Arc};

use crate::{
    diagnostics::{Place, Remark},
    formats::Reader,
    reference::Repository,
    template::{self, Syntax},
};

/// A whole file.
#[derive(Debug, Default)]
pub(crate) struct Import {
    pub(crate) file: Arc<str>,
    /// Remarks about the file as a whole.
    pub(crate) remarks: Vec<Remark>,
    pub(crate) registries: Vec<Registry>,
    pub(crate) items: Vec<Item>,
    /// Whether the tool uses no login of `docker login`.
    pub(crate) skips_docker_config: bool,
}

/// One thing of the file, in its order.
#[derive(Debug)]
pub(crate) enum Item {
    Entry(Box<Entry>),
    /// What could not become an entry.
    Lost(Remark),
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
    pub(crate) remarks: Vec<Remark>,
    /// Whether the entry has a `[[mirror]]` of its own.
    pub(crate) is_alone: bool,
    /// Why the entry is written as a comment, if it is.
    pub(crate) refused: Option<String>,
}

/// A `[registries."name"]`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registry {
    pub(crate) place: Place,
    pub(crate) name: String,
    pub(crate) login: Keys,
    pub(crate) keys: Keys,
    pub(crate) remarks: Vec<Remark>,
    /// Why the table is written as a comment, if it is.
    pub(crate) refused: Option<String>,
}

/// Keys of `mirror.toml` in the order of the output.
pub(crate) type Keys = Vec<(&'static str, Setting)>;

/// The keys that have a value.
pub(crate) fn keys(all: impl IntoIterator<Item = (&'static str, Option<Setting>)>) -> Keys {
    let all = all.into_iter();
    all.filter_map(|(key, setting)| Some((key, setting?)))
        .collect()
}

/// The value of a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Setting {
    Text(String),
    List(Vec<String>),
    True,
    /// A number as TOML writes it.
    Number(String),
    /// Where a secret is: `env`, `file` or `helper`, and its name.
    Elsewhere(&'static str, String),
    /// A password, which is not written. A variable of the environment has to hold it.
    Password(Sensitive),
}

/// A text that `Debug` does not show.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Sensitive(pub(crate) String);

impl fmt::Debug for Sensitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl Setting {
    /// A text, or a list of several. None for no text.
    pub(crate) fn texts(mut texts: Vec<String>) -> Option<Self> {
        match texts.len() {
            1 => texts.pop().map(Self::Text),
            _ => Self::list(texts),
        }
    }

    /// A list. None for no text.
    pub(crate) fn list(texts: Vec<String>) -> Option<Self> {
        (!texts.is_empty()).then_some(Self::List(texts))
    }
}

impl Item {
    pub(crate) fn entry(&self) -> Option<&Entry> {
        match self {
            Self::Entry(entry) => Some(entry),
            Self::Lost(_) => None,
        }
    }

    pub(crate) fn remarks(&self) -> &[Remark] {
        match self {
            Self::Entry(entry) => &entry.remarks,
            Self::Lost(remark) => std::slice::from_ref(remark),
        }
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
        let loss = match (user, password) {
            (None, None) => return,
            (Some(user), Some(password)) => {
                let found = [user, password].map(|text| template::credential(text, syntax));
                if let [Some(user), Some(password)] = found {
                    let user = match user {
                        Setting::Password(name) => Setting::Text(name.0),
                        elsewhere => elsewhere,
                    };
                    self.login = vec![("username", user), ("password", password)];
                    return;
                }
                "the login has a variable in a longer text: set `username` and `password`"
            }
            _ => "a user name and a password are no login without each other",
        };
        self.remarks.push(reader.loss(self.place.line, loss));
    }

    /// Takes over a switch that turns the verification of certificates off: plain HTTP where a
    /// registry is likely to speak it, and a loss elsewhere.
    pub(crate) fn skip_verification(&mut self, key: &str, line: usize, reader: &Reader<'_>) {
        let (host, port) = self.name.split_once(':').unwrap_or((&self.name, "443"));
        let is_local = host == "localhost" || host.parse::<Ipv4Addr>().is_ok();
        self.remarks.push(if is_local || port != "443" {
            self.keys.push(("plain_http", Setting::True));
            let text = "is imported as plain HTTP: if it speaks TLS, put `ca_file` instead";
            reader.note(line, format!("`{key}` {text}"))
        } else {
            let text = "certificates are always verified: name the CA with `ca_file`";
            reader.loss(line, format!("`{key}`: {text}"))
        });
    }
}

impl Import {
    /// Lets entries stand together again.
    pub(crate) fn rejoin(&mut self) {
        self.entries_mut().for_each(|entry| entry.is_alone = false);
    }

    pub(crate) fn entries_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.items.iter_mut().filter_map(|item| match item {
            Item::Entry(entry) => Some(&mut **entry),
            Item::Lost(_) => None,
        })
    }

    /// Adds what a file has about a registry, `what` in remarks, to what is known of it.
    pub(crate) fn merge(&mut self, mut read: Registry, what: &str, reader: &Reader<'_>) {
        let mut known = self.registries.iter_mut();
        let Some(known) = known.find(|known| known.name == read.name) else {
            self.registries.push(read);
            return;
        };
        if known.login.is_empty() {
            known.login = read.login;
        } else if !read.login.is_empty() && known.login != read.login {
            let text = format!("the login of {what}: a registry has one login");
            let loss = reader.loss(read.place.line, text);
            read.remarks.push(loss);
        }
        read.keys.retain(|key| !known.keys.contains(key));
        known.keys.append(&mut read.keys);
        let is_new = |remark: &Remark| known.remarks.iter().all(|known| known.text != remark.text);
        read.remarks.retain(is_new);
        known.remarks.append(&mut read.remarks);
    }
}
