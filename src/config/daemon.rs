//! Validates what only the daemon needs: `[http]`, and how long a shutdown may take.

use std::{
    collections::HashSet,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString};
use toml::Spanned;
use url::Url;

use crate::config::{
    FileContext,
    parse::{
        diagnostics::Problems,
        file::{Strings, read_secret},
        table_reader::TableReader,
    },
    registry::secret::{self, SecretSource},
};

/// Loopback: what runs this may have a public address.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9618);

const DRAIN: Duration = Duration::from_secs(60);

/// Fewest letters of a token: whoever reaches the port may try one after the other.
const MIN_TOKEN_LETTERS: usize = 16;
/// Fewest different letters of a token. A random one of 16 hexadecimal digits has about ten.
const MIN_TOKEN_VARIETY: usize = 6;

/// Where metrics, the status page and the API are served.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// The address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Names that requests may be for, in lower case, beside addresses and `localhost`. Where there
    /// are none, a listener on loopback accepts no other name, and any other listener every name.
    pub hosts: Vec<String>,
    /// What a request that changes something has to bring; without one, none may.
    pub token: Option<SecretString>,
    /// Where operators reach the status page, for links in messages.
    pub external_url: Option<Url>,
}

/// `[http]` as written.
#[derive(Debug, Default)]
pub(crate) struct HttpEntry {
    listen: Option<Spanned<String>>,
    hosts: Option<Strings>,
    token: Option<Spanned<SecretSource>>,
    external_url: Option<Spanned<String>>,
}

/// Reads `[http]`.
pub(crate) fn read_http(mut section: TableReader<'_, '_>) -> HttpEntry {
    let entry = HttpEntry {
        listen: section.take("listen", "an address such as \"127.0.0.1:9618\""),
        hosts: section.strings("hosts"),
        token: read_secret(&mut section, "token"),
        external_url: section.take(
            "external_url",
            "a URL such as \"https://mirrors.example.com\"",
        ),
    };
    section.finish();
    entry
}

/// Validates `[http]`.
pub(crate) fn http(
    entry: &HttpEntry,
    file: FileContext<'_>,
    problems: &mut Problems,
) -> HttpConfig {
    HttpConfig {
        listen: listen(entry.listen.as_ref(), problems),
        hosts: hosts(entry.hosts.as_ref(), problems),
        token: token(entry.token.as_ref(), file, problems),
        external_url: external_url(entry.external_url.as_ref(), problems),
    }
}

fn hosts(written: Option<&Strings>, problems: &mut Problems) -> Vec<String> {
    let is_label = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut hosts = Vec::new();
    for host in written.into_iter().flat_map(Spanned::get_ref) {
        let name = host.get_ref().to_ascii_lowercase();
        if name.is_empty() || !name.chars().all(is_label) {
            let message = format!("`{}` is not the name of a host", host.get_ref());
            let help = "write the name that browsers ask for, without scheme and port, as in \
                        \"mirror.example.com\"";
            problems.error(host.span(), message, help);
        }
        hosts.push(name);
    }
    hosts
}

fn listen(written: Option<&Spanned<String>>, problems: &mut Problems) -> SocketAddr {
    let Some(written) = written else {
        return LISTEN;
    };
    written.get_ref().parse().unwrap_or_else(|_| {
        let message = format!("`{}` is not an address to listen on", written.get_ref());
        let help = "write an IP address and a port, as in \"127.0.0.1:9618\", \"[::1]:9618\", or \
                    \"0.0.0.0:9618\" for every address of this machine; port 0 takes a free one";
        problems.error(written.span(), message, help);
        LISTEN
    })
}

fn token(
    written: Option<&Spanned<SecretSource>>,
    file: FileContext<'_>,
    problems: &mut Problems,
) -> Option<SecretString> {
    let written = written?;
    let token = secret::read(written, "a token", file, problems)?;
    let is_sendable = |c: char| c.is_ascii_graphic();
    let text = token.expose_secret();
    let wrong = if text.is_empty() || !text.chars().all(is_sendable) {
        "the `token` is empty, or no header can hold it".to_owned()
    } else if text.len() < MIN_TOKEN_LETTERS {
        format!("the `token` has fewer than {MIN_TOKEN_LETTERS} letters")
    } else if text.chars().collect::<HashSet<_>>().len() < MIN_TOKEN_VARIETY {
        format!("the `token` has fewer than {MIN_TOKEN_VARIETY} different letters")
    } else {
        return Some(token);
    };
    let help = "write ASCII letters, digits and signs, such as `openssl rand -hex 32` gives";
    problems.error(written.span(), wrong, help);
    None
}

fn external_url(written: Option<&Spanned<String>>, problems: &mut Problems) -> Option<Url> {
    let written = written?;
    let url = Url::parse(written.get_ref()).ok();
    let is_page = |url: &Url| {
        let is_http = matches!(url.scheme(), "http" | "https");
        is_http && url.query().is_none() && url.fragment().is_none() && url.password().is_none()
    };
    let url = url.filter(is_page);
    if url.is_none() {
        let message = format!("`{}` is not the URL of a page", written.get_ref());
        let help = "write where operators reach the status page, as in \
                    \"https://mirrors.example.com\" or \"https://ops.example.com/transship\"";
        problems.error(written.span(), message, help);
    }
    url
}

/// Validates `[state] drain`: how long transfers in flight may go on when the daemon ends.
pub(crate) fn drain(written: Option<&Spanned<String>>, problems: &mut Problems) -> Duration {
    let Some(written) = written else { return DRAIN };
    humantime::parse_duration(written.get_ref()).unwrap_or_else(|_| {
        let message = format!("`{}` is not a duration", written.get_ref());
        let help = "write how long a shutdown may wait for transfers, such as \"60s\"; \"0s\" for \
                    not at all";
        problems.error(written.span(), message, help);
        DRAIN
    })
}
