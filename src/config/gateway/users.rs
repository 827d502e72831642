//! Users of the gateway: the file that `htpasswd -B` writes, and who needs no login.

use std::{
    collections::HashMap,
    fmt,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use toml::Spanned;

use crate::config::{
    ClientNetwork,
    gateway::entry::networks,
    parse::{
        bounded_file::{self, MAX_FILE_BYTES},
        diagnostics::Problems,
        file::Strings,
        table_reader::TableReader,
    },
};

const HELP: &str = "write users = { file = \"/path/gateway.htpasswd\" }, and make the file with \
                    `htpasswd -B -c /path/gateway.htpasswd NAME`";
/// The costs of bcrypt that are accepted: each step doubles the time of a login, 14 takes a second.
const COSTS: std::ops::RangeInclusive<u32> = 4..=14;
/// Most letters of a name.
const NAME: usize = 255;

/// `users` of `[gateway]`.
#[derive(Clone, Debug, PartialEq)]
pub struct GatewayUsers {
    /// The file with names and passwords.
    pub file: PathBuf,
    /// Networks whose clients pull public images without a login.
    pub anonymous: Vec<ClientNetwork>,
}

/// Names, and the bcrypt hashes of their passwords.
#[derive(Clone, Default, PartialEq)]
pub struct UserTable {
    hashes: HashMap<String, Arc<str>>,
}

/// Hashes are not printed.
impl fmt::Debug for UserTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserTable({} users)", self.hashes.len())
    }
}

impl UserTable {
    /// Reads a file of users. It must belong to this user or root, and nobody else may write it.
    pub fn read(path: &Path) -> Result<Self, String> {
        let bytes = bounded_file::read_trusted_bytes(path, MAX_FILE_BYTES)
            .map_err(|error| error.to_string())?;
        let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
        Self::parse(&text)
    }

    /// Reads `NAME:HASH` on each line. Errors name the line and do not repeat it.
    fn parse(text: &str) -> Result<Self, String> {
        let mut hashes = HashMap::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |what: &str| Err(format!("line {}: {what}", at + 1));
            let Some((name, hash)) = line.split_once(':') else {
                return wrong("it is not NAME:HASH");
            };
            if name.is_empty() || name.len() > NAME || !transship_text::is_clean(name) {
                return wrong("the name is empty or too long");
            }
            match cost(hash) {
                None => return wrong("the hash is not bcrypt; run `htpasswd -B`"),
                Some(cost) if !COSTS.contains(&cost) => {
                    return wrong(
                        "the cost of the hash is not between 4 and 14; use `htpasswd -B -C 10`",
                    );
                }
                Some(_) => {}
            }
            if hashes.insert(name.to_owned(), hash.into()).is_some() {
                return wrong("the name stands there twice");
            }
        }
        match hashes.is_empty() {
            true => Err("it names no user".into()),
            false => Ok(Self { hashes }),
        }
    }

    /// The hash of a user's password.
    pub fn hash(&self, name: &str) -> Option<Arc<str>> {
        self.hashes.get(name).cloned()
    }

    /// Any hash, to spend the same time on a name that is unknown.
    pub fn any_hash(&self) -> Option<Arc<str>> {
        self.hashes.values().next().cloned()
    }

    /// How many users there are.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }
}

/// The cost of a bcrypt hash: `$2y$05$` and 53 letters.
fn cost(hash: &str) -> Option<u32> {
    let rest = ["$2y$", "$2b$", "$2a$"]
        .iter()
        .find_map(|version| hash.strip_prefix(version))?;
    let (cost, letters) = rest.split_once('$')?;
    let is_letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/');
    let is_hash = letters.len() == 53 && letters.bytes().all(is_letter);
    cost.parse().ok().filter(|_| is_hash && cost.len() == 2)
}

/// `users` as written.
#[derive(Debug)]
pub(crate) struct UsersEntry {
    span: Range<usize>,
    file: Option<Spanned<String>>,
    anonymous: Option<Strings>,
}

/// Reads `users`.
pub(crate) fn read(mut table: TableReader<'_, '_>) -> UsersEntry {
    let entry = UsersEntry {
        span: table.span(),
        file: table.take("file", "a path as a string"),
        anonymous: table.strings("anonymous"),
    };
    table.finish();
    entry
}

/// Validates `users`, and reads the file once.
pub(crate) fn validate(entry: &UsersEntry, problems: &mut Problems) -> Option<GatewayUsers> {
    let anonymous = entry.anonymous.as_ref();
    let anonymous = anonymous.map(|list| networks(list, problems));
    let Some(file) = &entry.file else {
        problems.error(entry.span.clone(), "`users` names no file", HELP);
        return None;
    };
    let path = PathBuf::from(file.get_ref());
    if let Err(error) = UserTable::read(&path) {
        let message = format!("`users` file {}: {error}", file.get_ref());
        problems.error(file.span(), message, HELP);
    }
    Some(GatewayUsers {
        file: path,
        anonymous: anonymous.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests;
