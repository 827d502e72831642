//! Runs that are killed at any moment: nothing is broken, and in the end all is mirrored.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;
use std::time::Duration;

use fastrand::Rng;
use tempfile::TempDir;

use crate::support::programs::daemon::{Daemon, EVERY_OTHER_SECOND};
use crate::support::programs::pair::{Pair, all_tags_of, mirror_toml_with};
use crate::support::programs::transship::{Transship, sum};
use crate::support::registries::client::Client;
use crate::support::registries::corpus::{Image, layer};
use crate::support::registries::requests::{Request, count};

const PLAIN: &str = "plain_http = true";
/// Large layers are sent in ten parts, and slowly enough to be killed on the way.
const TARGET: &str = "plain_http = true\nchunk = \"64 KiB\"\nbandwidth = \"4 MB/s\"";
const LARGE: usize = 640 << 10;
const REPOSITORIES: [&str; 3] = ["small", "platforms", "large"];
/// A run is killed before this many milliseconds have passed.
const LATEST: u64 = 500;

fn mirrors() -> String {
    REPOSITORIES.map(all_tags_of).concat()
}

/// How many kills: more when somebody asks for more.
fn kills() -> u64 {
    let asked = std::env::var("TRANSSHIP_KILLS").ok();
    asked.map_or(10, |kills| {
        kills.parse().expect("TRANSSHIP_KILLS is a number")
    })
}

/// What the source holds, and how it goes on moving.
struct Upstream {
    chance: Rng,
    versions: u64,
    tags: BTreeSet<(&'static str, String)>,
}

impl Upstream {
    fn filling(pair: &Pair) -> Self {
        let mut upstream = Self {
            chance: Rng::with_seed(20),
            versions: 0,
            tags: BTreeSet::new(),
        };
        for tag in 0..6 {
            upstream.push(pair, "small", &format!("v{tag}"));
        }
        upstream.move_on(pair);
        upstream
    }

    /// Moves a few tags on, or makes them.
    fn move_on(&mut self, pair: &Pair) {
        for (repository, tags) in [("small", 6), ("platforms", 4), ("large", 3)] {
            let tag = format!("v{}", self.chance.u64(0..tags));
            self.push(pair, repository, &tag);
        }
    }

    fn push(&mut self, pair: &Pair, repository: &'static str, tag: &str) {
        self.versions += 1;
        let name = format!("{repository} {}", self.versions);
        let image = match repository {
            "platforms" => Image::two_platforms(&name),
            "large" => Image::oci_with(&name, vec![layer("base", 5000), layer(&name, LARGE)]),
            _ => Image::oci_with(&name, vec![layer("base", 5000), layer(&name, 900)]),
        };
        pair.from.push(repository, tag, &image);
        self.tags.insert((repository, tag.to_owned()));
        if repository == "small" {
            for other in ["a", "b", "c", "d", "e"] {
                let tag = format!("{tag}-{other}");
                let (kind, bytes) = (&image.media_type, &image.bytes);
                pair.from.put_manifest(repository, &tag, kind, bytes);
                self.tags.insert((repository, tag));
            }
        }
    }

    fn assert_mirrored(&self, pair: &Pair) {
        let tags: Vec<_> = self
            .tags
            .iter()
            .map(|(name, tag)| (*name, &**tag))
            .collect();
        pair.assert_mirrored(&tags);
    }
}

/// What was found whole at the target; nothing there is ever taken away.
#[derive(Default)]
struct Whole(BTreeSet<(String, String)>);

impl Whole {
    /// Fails the test when a tag names something that is not there.
    fn assert_all(&mut self, target: &Client) {
        for repository in REPOSITORIES.map(|name| format!("mirror/{name}")) {
            for tag in target.tags(&repository) {
                self.assert_manifest(target, &repository, &tag);
            }
        }
    }

    fn assert_manifest(&mut self, target: &Client, repository: &str, reference: &str) {
        let manifest = target.manifest(repository, reference);
        let manifest = manifest.unwrap_or_else(|| panic!("{repository} lacks {reference}"));
        if !self
            .0
            .insert((repository.to_owned(), manifest.digest.clone()))
        {
            return;
        }
        let json = manifest.json();
        let named = |key: &str| json[key].as_array().cloned().unwrap_or_default();
        for child in named("manifests") {
            self.assert_manifest(target, repository, child["digest"].as_str().unwrap());
        }
        let config = json.get("config").cloned();
        for blob in named("layers").into_iter().chain(config) {
            let digest = blob["digest"].as_str().unwrap().to_owned();
            if self.0.insert((repository.to_owned(), digest.clone())) {
                let bytes = target.blob(repository, &digest);
                let size = bytes.map(|bytes| bytes.len() as u64);
                assert_eq!(
                    size,
                    blob["size"].as_u64(),
                    "{repository} {reference}: {digest}"
                );
            }
        }
    }
}

/// Fails the test unless SQLite finds a copy of the store sound; the store itself stays as it is.
fn assert_store_is_sound(transship: &Transship) {
    let folder = TempDir::new().unwrap();
    for path in transship.files() {
        let name = path.file_name().unwrap();
        if name.to_string_lossy().starts_with("transship.db") {
            fs::copy(&path, folder.path().join(name)).unwrap();
        }
    }
    let store = folder.path().join("transship.db");
    if !store.exists() {
        return;
    }
    let mut sqlite = Command::new("sqlite3");
    let output = sqlite.arg(store).arg("PRAGMA integrity_check").output();
    let output = output.unwrap();
    assert_eq!(output.stdout, b"ok\n", "{output:?}");
}

/// How often each blob was completely uploaded to each repository.
fn uploads(requests: &[Request]) -> BTreeMap<(String, String), u64> {
    let mut uploads = BTreeMap::new();
    for request in requests.iter().filter(|request| request.is_blob_upload()) {
        let (repository, _) = request.path.split_once("/blobs/").unwrap();
        let digest = request
            .query
            .split('&')
            .find_map(|pair| pair.strip_prefix("digest="));
        let digest = digest.unwrap().replace("%3A", ":");
        *uploads.entry((repository.to_owned(), digest)).or_default() += 1;
    }
    uploads
}

#[test]
fn sync_survives_repeated_kills() {
    let pair = Pair::configured(&mirror_toml_with(PLAIN, TARGET, &mirrors()));
    let mut upstream = Upstream::filling(&pair);
    let (mut whole, mut chance, mut killed) = (Whole::default(), Rng::with_seed(5), 0);
    let (kills, mut rounds) = (kills(), 0);
    while killed < kills {
        rounds += 1;
        assert!(rounds < 3 * kills, "most runs end before they are killed");
        let moment = Duration::from_millis(chance.u64(20..LATEST));
        let mut run = pair.transship.start(&["sync"]);
        if run.kill_after(moment) {
            killed += 1;
        }
        assert_store_is_sound(&pair.transship);
        pair.transship.status();
        whole.assert_all(&pair.to);
        upstream.move_on(&pair);
    }
    let report = pair.transship.sync();
    assert_eq!(sum(&report, "/tags/failed"), 0, "{report:#}");
    upstream.assert_mirrored(&pair);
    whole.assert_all(&pair.to);
    let uploads = uploads(&pair.target.new_requests());
    let twice: u64 = uploads.values().map(|times| times - 1).sum();
    eprintln!(
        "{killed} kills in {rounds} runs: {} blobs were uploaded, {twice} of them again",
        uploads.len()
    );
    assert!(
        uploads.values().all(|times| *times <= 1 + killed),
        "{uploads:#?}"
    );
    assert_eq!(
        sum(&pair.transship.sync(), "/tags/unchanged"),
        upstream.tags.len() as u64
    );
    assert_eq!(count(&pair.target.new_requests(), Request::is_write), 0);
}

#[test]
fn killed_daemon_catches_up_at_startup() {
    let entries = mirror_toml_with(PLAIN, TARGET, &mirrors());
    let entries = entries.replace("[defaults]\n", &format!("[defaults]\n{EVERY_OTHER_SECOND}"));
    let pair = Pair::configured(&format!("\n[http]\nlisten = \"127.0.0.1:0\"\n{entries}"));
    let mut upstream = Upstream::filling(&pair);
    let mut whole = Whole::default();
    for _ in 0..3 {
        let daemon = Daemon::start(&pair.transship);
        daemon.until_true("a run to be under way", |_| {
            pair.transship
                .ask_store("SELECT COUNT(*) FROM runs WHERE result IS NULL")
                != "0"
        });
        daemon.kill();
        assert_store_is_sound(&pair.transship);
        whole.assert_all(&pair.to);
        upstream.move_on(&pair);
    }
    let before = pair.transship.ask_store("SELECT MAX(id) FROM runs");
    let daemon = Daemon::start(&pair.transship);
    let over =
        format!("SELECT COUNT(DISTINCT mirror) FROM runs WHERE id > {before} AND result = 'ok'");
    daemon.until_true("every mirror to be in sync", |_| {
        pair.transship.ask_store(&over) == "3"
    });
    upstream.assert_mirrored(&pair);
    let left = format!("SELECT COUNT(*) FROM runs WHERE id <= {before} AND result IS NULL");
    assert_eq!(pair.transship.ask_store(&left), "0");
    let cut = "SELECT COUNT(*) > 0 FROM runs WHERE result = 'interrupted'";
    assert_eq!(pair.transship.ask_store(cut), "1");
}
