//! `transship serve` as a child process: its log, its pages, its metrics, and the signals it is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use reqwest::Method;
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::support::net::http::{Http, Page};
use crate::support::programs::pair::{Pair, fill_in, mirror_toml};
use crate::support::programs::transship::Transship;
use crate::support::registries::registry::Registry;
use crate::support::{PATIENCE, PAUSE, wait_until};

const SERVING: &str = "serving; metrics and the status page are on http://";

/// The keys of a daemon on any free port that runs its mirrors every other second; the pair's text follows.
pub const EVERY_OTHER_SECOND: &str = "schedule = \"*/2 * * * * *\"\njitter = \"0s\"\n";

/// `mirror.toml` of a daemon: `top`, the usual registries, and entries that run on `EVERY_OTHER_SECOND`.
pub fn serving(top: &str, mirrors: &str) -> String {
    serving_with(top, "", mirrors)
}

/// The same with more keys of `[http]`.
pub fn serving_with(top: &str, http: &str, mirrors: &str) -> String {
    let entries = mirror_toml(&format!("{EVERY_OTHER_SECOND}{mirrors}"));
    format!("{top}\n[http]\nlisten = \"127.0.0.1:0\"\n{http}\n{entries}")
}

/// An entry of this name for every tag of the source's repository of that name.
pub fn mirror_of(name: &str) -> String {
    format!("\n[[mirror]]\nname = \"{name}\"\nfrom = \"SOURCE/{name}\"\ntags = \"*\"\n")
}

/// A running daemon; it ends with the value.
pub struct Daemon {
    child: Child,
    log: NamedTempFile,
    address: String,
    http: Http,
}

impl Daemon {
    /// Starts it and waits until it serves.
    pub fn start(transship: &Transship) -> Self {
        let log = NamedTempFile::new().unwrap();
        let mut command = transship.command(&["serve"]);
        command.stdout(Stdio::null()).stderr(log.reopen().unwrap());
        let mut daemon = Self {
            child: command.spawn().unwrap(),
            log,
            address: String::new(),
            http: Http::new(),
        };
        daemon.address = daemon.until("the daemon to serve", |daemon| daemon.told_address());
        daemon
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All that it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log.path()).unwrap()
    }

    fn told_address(&self) -> Option<String> {
        let log = self.log();
        let rest = log.split_once(SERVING)?.1;
        // The line is complete once something follows the address.
        let (address, _) = rest.split_once(|c: char| c.is_whitespace())?;
        Some(address.to_owned())
    }

    /// Waits until `condition` yields a value, and fails the test with `what` and the log after a minute.
    #[track_caller]
    pub fn until<T>(&self, what: &str, mut condition: impl FnMut(&Self) -> Option<T>) -> T {
        let found = wait_until(PATIENCE, PAUSE, || condition(self));
        found.unwrap_or_else(|| panic!("waited in vain for {what}\n--- log\n{}", self.log()))
    }

    /// The same for what is true or not.
    #[track_caller]
    pub fn until_true(&self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        self.until(what, |daemon| condition(daemon).then_some(()));
    }

    pub fn get(&self, path: &str) -> Page {
        self.request(Method::GET, path, None, String::new())
    }

    /// Asks for a sync of this `{"mirror": ...}` or `{"image": ...}`, with a token or without.
    pub fn post_sync(&self, token: Option<&str>, wanted: &Value) -> Page {
        self.post("/api/v1/sync", token, wanted)
    }

    /// Posts JSON, with a token or without.
    pub fn post(&self, path: &str, token: Option<&str>, body: &Value) -> Page {
        self.request(Method::POST, path, token, body.to_string())
    }

    /// Deletes something, with a token or without.
    pub fn delete(&self, path: &str, token: Option<&str>) -> Page {
        self.request(Method::DELETE, path, token, String::new())
    }

    fn request(&self, method: Method, path: &str, token: Option<&str>, body: String) -> Page {
        let url = format!("http://{}{path}", self.address);
        let page = self.http.request(method, &url, token, body);
        page.unwrap_or_else(|error| panic!("{path}: {error}\n--- log\n{}", self.log()))
    }

    /// `/api/v1/status`.
    #[track_caller]
    pub fn status(&self) -> Value {
        self.get("/api/v1/status").json()
    }

    /// The alarms that stand, of this topic.
    #[track_caller]
    pub fn alarms(&self, topic: &str) -> Vec<Value> {
        let status = self.status();
        let alarms = status["alarms"].as_array().expect("alarms are a list");
        let of_topic = alarms.iter().filter(|alarm| alarm["topic"] == topic);
        of_topic.cloned().collect()
    }

    /// `/metrics`, read.
    pub fn metrics(&self) -> Metrics {
        let page = self.get("/metrics");
        assert_eq!(page.status, 200, "{page:?}");
        Metrics(page.body.lines().filter_map(sample).collect())
    }

    /// The value of the only series of this name with these labels; others may stand beside them.
    #[track_caller]
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let found = self.metrics().find(name, labels);
        found.unwrap_or_else(|| panic!("no {name} with {labels:?}\n{}", self.log()))
    }

    /// Waits until a metric satisfies `question`.
    #[track_caller]
    pub fn until_metric(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        question: impl Fn(f64) -> bool,
    ) -> f64 {
        let mut last = None;
        let found = wait_until(PATIENCE, PAUSE, || {
            last = self.metrics().find(name, labels);
            last.filter(|value| question(*value))
        });
        found.unwrap_or_else(|| {
            let log = self.log();
            panic!("{name} {labels:?} is {last:?} and stays so\n--- log\n{log}")
        })
    }

    /// Sends it a signal, such as `-HUP`.
    pub fn signal(&self, signal: &str) {
        let pid = self.pid().to_string();
        let status = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let child = &mut self.child;
        let ended = wait_until(PATIENCE, PAUSE, || child.try_wait().unwrap());
        ended.unwrap_or_else(|| panic!("the daemon does not end\n{}", self.log()))
    }

    /// Ends it as a power cut does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

type Labels = BTreeMap<String, String>;

/// The samples of one scrape.
pub struct Metrics(Vec<(String, Labels, f64)>);

impl Metrics {
    /// The value of the only series of this name with these labels, if there is one.
    #[track_caller]
    pub fn find(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut found = self.0.iter().filter(|(known, carried, _)| {
            let carries =
                |(key, value): &(&str, &str)| carried.get(*key).map(String::as_str) == Some(*value);
            known == name && labels.iter().all(carries)
        });
        let first = found.next()?;
        assert_eq!(found.next(), None, "several {name} with {labels:?}");
        Some(first.2)
    }

    /// The values that a label has, over all series.
    pub fn values(&self, key: &str) -> BTreeSet<String> {
        let labels = self.0.iter().map(|(_, labels, _)| labels);
        labels
            .filter_map(|labels| labels.get(key).cloned())
            .collect()
    }

    /// How many series have this label.
    pub fn count(&self, key: &str, value: &str) -> usize {
        let carries = |labels: &Labels| labels.get(key).map(String::as_str) == Some(value);
        self.0
            .iter()
            .filter(|(_, labels, _)| carries(labels))
            .count()
    }
}

/// Reads `name{key="value",...} number`; values with quotes in them do not occur in these tests.
fn sample(line: &str) -> Option<(String, Labels, f64)> {
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let Some((name, rest)) = series.split_once('{') else {
        return (!line.starts_with('#')).then(|| (series.to_owned(), Labels::new(), value));
    };
    let inside = rest.strip_suffix('}')?.trim_end_matches('"');
    let pairs = inside.split("\",").filter_map(|pair| {
        let (key, value) = pair.split_once("=\"")?;
        Some((key.to_owned(), value.to_owned()))
    });
    Some((name.to_owned(), pairs.collect(), value))
}

/// Two open registries, the binary, and its daemon.
pub struct Service {
    pub pair: Pair,
    pub daemon: Daemon,
}

impl Service {
    /// A pair of which every mirror is in sync, with `app:v1` and what `fill` has put at the source.
    pub fn in_sync(text: &str, fill: impl FnOnce(&Pair)) -> Self {
        let pair = Pair::configured(text);
        fill(&pair);
        let daemon = Daemon::start(&pair.transship);
        daemon.until_true("every mirror to be in sync", |daemon| {
            let status = daemon.status();
            let mirrors = status["mirrors"].as_array().unwrap();
            mirrors
                .iter()
                .all(|mirror| !mirror["last_success"].is_null())
        });
        Self { pair, daemon }
    }

    /// Writes `mirror.toml` anew, in place.
    pub fn write(&self, text: &str) {
        let text = self.filled(text);
        self.pair.transship.write("mirror.toml", &text);
    }

    /// Writes `mirror.toml` beside the old one, and renames it over.
    pub fn rename_over(&self, text: &str) {
        let new = self
            .pair
            .transship
            .write("mirror.toml.new", &self.filled(text));
        fs::rename(&new, self.file("mirror.toml")).unwrap();
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        Path::join(self.pair.transship.path(), name)
    }

    /// The text with the pair's hosts in it.
    pub fn filled(&self, text: &str) -> String {
        filled(text, &self.pair.source, &self.pair.target)
    }
}

fn filled(text: &str, source: &Registry, target: &Registry) -> String {
    fill_in(text, source.host(), target.host())
}
