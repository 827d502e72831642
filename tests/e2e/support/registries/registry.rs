//! A real registry, Debian's `docker-registry`, as a child process over a directory of its own.

use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::support::registries::client::{Client, USER_AGENT};
use crate::support::registries::requests::Request;
use crate::support::wait_for;

pub const USERNAME: &str = "robot";
pub const PASSWORD: &str = "right-horse-battery";
const HTPASSWD: &str = "robot:$2b$04$LLtVNvsJvzs11BsBqUk9PO7ZlXLEoe7L9YqIBaFnBePiVjdZ7/wgW\n";

/// What a registry asks of its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Nothing: plain HTTP, anonymous.
    Open,
    /// `USERNAME` and `PASSWORD` over plain HTTP.
    Login,
    /// TLS with a certificate that only `Registry::ca_file` vouches for.
    Tls,
    /// The same, and it lets in only who has `Registry::client_certificate`.
    MutualTls,
}

impl Guard {
    fn has_tls(self) -> bool {
        matches!(self, Self::Tls | Self::MutualTls)
    }
}

/// A running registry; it ends with the value.
pub struct Registry {
    directory: TempDir,
    process: Child,
    host: String,
    guard: Guard,
    seen: Cell<usize>,
}

impl Registry {
    /// An open registry on a free port.
    pub fn start() -> Self {
        Self::guarded(Guard::Open)
    }

    pub fn guarded(guard: Guard) -> Self {
        let directory = TempDir::new().unwrap();
        let path = directory.path();
        fs::create_dir(path.join("data")).unwrap();
        fs::write(path.join("htpasswd"), HTPASSWD).unwrap();
        if guard.has_tls() {
            write_certificates(path);
        }
        let process = run(path, guard, "127.0.0.1:0");
        let mut registry = Self {
            host: String::new(),
            directory,
            process,
            guard,
            seen: Cell::new(0),
        };
        registry.host = wait_for("the registry to listen", || registry.listening_on());
        registry
    }

    /// Ends it as a power cut does; what it holds stays on disk.
    pub fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again, where it was.
    pub fn start_again(&mut self) {
        self.process = run(self.directory.path(), self.guard, &self.host);
        let host = wait_for("the registry to listen again", || self.listening_on());
        assert_eq!(host, self.host);
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The file that vouches for this registry's certificate.
    pub fn ca_file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// The certificate of the registry itself.
    pub fn own_certificate(&self) -> PathBuf {
        self.directory.path().join("leaf.pem")
    }

    /// A certificate that a registry with mutual TLS trusts, and its key.
    pub fn client_certificate(&self) -> (PathBuf, PathBuf) {
        let path = self.directory.path();
        (path.join("client.pem"), path.join("client.key"))
    }

    pub fn has_tls(&self) -> bool {
        self.guard.has_tls()
    }

    /// Its address with the scheme, such as `https://127.0.0.1:5000`.
    pub fn base(&self) -> String {
        let scheme = if self.has_tls() { "https" } else { "http" };
        format!("{scheme}://{}", self.host)
    }

    /// A client that may do everything here, unless it needs a certificate.
    pub fn client(&self) -> Client {
        let client = Client::new(&self.base());
        match self.guard {
            Guard::Login => client.with_login(USERNAME, PASSWORD),
            Guard::Open | Guard::Tls | Guard::MutualTls => client,
        }
    }

    /// What it was asked since the last call, in the order of the answers; the tests' own requests left out.
    pub fn new_requests(&self) -> Vec<Request> {
        let log = self.complete_access_log();
        let seen = self.seen.replace(log.lines().count());
        log.lines().skip(seen).filter_map(parse_line).collect()
    }

    /// Knows nobody from now on; only for one that asks for a login.
    pub fn revoke_logins(&self) {
        fs::write(self.directory.path().join("htpasswd"), "").unwrap();
    }

    /// Knows `USERNAME` again.
    pub fn restore_logins(&self) {
        fs::write(self.directory.path().join("htpasswd"), HTPASSWD).unwrap();
    }

    /// Empties the registry behind everybody's back.
    pub fn wipe(&self) {
        // It is run without a cache, so that the directory is all that it knows.
        fs::remove_dir_all(self.storage()).unwrap();
    }

    /// Takes the bytes of a blob away, and leaves every link to it in place.
    pub fn lose_blob(&self, digest: &str) {
        fs::remove_file(self.blob_file(digest)).unwrap();
    }

    /// Turns the bytes of a blob into others of the same length, behind everybody's back.
    pub fn rot_blob(&self, digest: &str) {
        let mut bytes = fs::read(self.blob_file(digest)).unwrap();
        bytes.iter_mut().for_each(|byte| *byte = !*byte);
        fs::write(self.blob_file(digest), bytes).unwrap();
    }

    /// Cuts a blob off after its first half.
    pub fn truncate_blob(&self, digest: &str) {
        let bytes = fs::read(self.blob_file(digest)).unwrap();
        fs::write(self.blob_file(digest), &bytes[..bytes.len() / 2]).unwrap();
    }

    /// Whether the bytes of a blob are there, whichever repository they belong to.
    pub fn has_blob(&self, digest: &str) -> bool {
        self.blob_file(digest).exists()
    }

    fn storage(&self) -> PathBuf {
        self.directory.path().join("data/docker")
    }

    fn blob_file(&self, digest: &str) -> PathBuf {
        let hex = digest.strip_prefix("sha256:").unwrap();
        self.storage()
            .join("registry/v2/blobs/sha256")
            .join(&hex[..2])
            .join(hex)
            .join("data")
    }

    fn listening_on(&mut self) -> Option<String> {
        let log = fs::read_to_string(self.directory.path().join("error.log")).unwrap();
        let exited = self.process.try_wait().unwrap();
        assert!(exited.is_none(), "docker-registry did not start: {log}");
        let rest = log.split_once("msg=\"listening on ")?.1;
        let address = rest.split_once(['"', ','])?.0;
        Some(address.to_owned())
    }

    /// Requests are logged as they are answered, so a request of our own marks the end of those before it.
    fn complete_access_log(&self) -> String {
        let path = self.directory.path().join("access.log");
        let count = fs::read_to_string(&path).unwrap().lines().count();
        let marker = format!("/end-of-log-{count}");
        self.client().touch(&marker);
        wait_for("the access log", || {
            let log = fs::read_to_string(&path).unwrap();
            (log.contains(&marker) && log.ends_with('\n')).then_some(log)
        })
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn run(path: &Path, guard: Guard, address: &str) -> Child {
    fs::write(path.join("config.yml"), configuration(path, guard, address)).unwrap();
    let access_log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path.join("access.log"));
    Command::new("docker-registry")
        .args(["serve", "config.yml"])
        .current_dir(path)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        // Its heap is so small that Go would collect it all the time: half of what a request costs.
        .env("GOGC", "800")
        .stdout(access_log.unwrap())
        .stderr(File::create(path.join("error.log")).unwrap())
        .spawn()
        .expect("docker-registry is installed")
}

fn configuration(path: &Path, guard: Guard, address: &str) -> String {
    let tls = "  tls:\n    certificate: leaf.pem\n    key: leaf.key\n";
    let mutual = "    clientcas: [ca.pem]\n";
    let login = "auth:\n  htpasswd:\n    realm: tests\n    path: htpasswd\n";
    format!(
        "version: 0.1\n\
         log:\n  accesslog:\n    disabled: false\n  level: info\n\
         storage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\n\
         http:\n  addr: {address}\n  secret: tests\n{}{}{}",
        path.join("data").display(),
        if guard.has_tls() { tls } else { "" },
        if guard == Guard::MutualTls {
            mutual
        } else {
            ""
        },
        if guard == Guard::Login { login } else { "" },
    )
}

fn write_certificates(path: &Path) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name
        .push(DnType::CommonName, "authority of the tests");
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let issuer = Issuer::new(ca, ca_key);
    let leaf_key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    leaf.distinguished_name
        .push(DnType::CommonName, "registry of the tests");
    let leaf_pem = leaf.signed_by(&leaf_key, &issuer).unwrap().pem();
    let client_key = KeyPair::generate().unwrap();
    let client = CertificateParams::new(vec!["client".to_owned()]).unwrap();
    let client_pem = client.signed_by(&client_key, &issuer).unwrap().pem();
    fs::write(path.join("client.pem"), client_pem).unwrap();
    fs::write(path.join("client.key"), client_key.serialize_pem()).unwrap();
    fs::write(path.join("ca.pem"), ca_pem).unwrap();
    fs::write(path.join("leaf.pem"), leaf_pem).unwrap();
    fs::write(path.join("leaf.key"), leaf_key.serialize_pem()).unwrap();
}

/// Reads one line of the log, unless the tests themselves caused it.
fn parse_line(line: &str) -> Option<Request> {
    let mut quoted = line.split('"');
    let (_, request, result) = (quoted.next()?, quoted.next()?, quoted.next()?);
    if quoted.nth(2)? == USER_AGENT {
        return None;
    }
    let mut words = request.split(' ');
    let (method, uri) = (words.next()?, words.next()?);
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let mut result = result.split_whitespace();
    Some(Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        status: result.next()?.parse().ok()?,
        answered_bytes: result.next()?.parse().ok()?,
        authorization: None,
        accept: None,
        range: None,
        received: 0,
    })
}
