//! Two sources, two targets and the program between them, with weather and a clock.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::entries::{Place, Repositories, Tags};
use crate::support::programs::store_clock;
use crate::support::programs::transship::{Finished, Transship};
use crate::support::registries::client::Client;
use crate::support::registries::corpus::Image;
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::{answer, refusal};

/// The target that deletes only digests; the other one deletes tags.
pub const DIGESTS_ONLY: usize = 1;

/// What is wrong with the registries. It lasts until it is over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Weather {
    #[default]
    Fair,
    /// Both sources refuse everything.
    SourceDown,
    /// A repository of the sources answers 404.
    Gone(&'static str),
    /// A repository of the sources lists nothing.
    Empty(&'static str),
    /// A repository of the sources leaves tags out of its list.
    Cut(&'static str, BTreeSet<String>),
    /// These manifests of the sources cannot be read, by tag or digest.
    Unreadable(BTreeSet<String>),
    /// A target refuses everything.
    TargetDown(usize),
}

pub struct World {
    pub sources: [Fake; 2],
    pub targets: [Fake; 2],
    clients: [Client; 4],
    weather: Arc<Mutex<(Weather, Vec<String>)>>,
    transship: Transship,
    /// How many seconds the model is ahead of the clock.
    aged: i64,
    /// A copy of the store, with the model's time when it was made.
    backup: Option<i64>,
}

impl World {
    pub fn new() -> Self {
        let sources = [Fake::start(), Fake::start()];
        let targets = [Fake::start(), Fake::start()];
        let weather = Arc::<Mutex<(Weather, Vec<String>)>>::default();
        for source in &sources {
            let weather = weather.clone();
            source.rule(move |request| {
                let (weather, listed) = &*weather.lock().unwrap();
                let is_of = |repository: &str| {
                    let path = request.path.strip_prefix("/v2/").unwrap_or_default();
                    path.starts_with(&format!("{repository}/"))
                };
                let list = |tags: &[String]| Verdict::Answer(answer(200, &json!({ "tags": tags })));
                let asked = request.path.rsplit('/').next().unwrap_or_default();
                match weather {
                    Weather::SourceDown => Verdict::Answer(refusal(403, "DENIED")),
                    Weather::Gone(repository) if is_of(repository) => {
                        Verdict::Answer(refusal(404, "NAME_UNKNOWN"))
                    }
                    Weather::Empty(repository) if is_of(repository) && request.is_tag_list() => {
                        list(&[])
                    }
                    Weather::Cut(repository, _) if is_of(repository) && request.is_tag_list() => {
                        list(listed)
                    }
                    Weather::Unreadable(manifests)
                        if request.method == "GET" && manifests.contains(asked) =>
                    {
                        Verdict::Answer(refusal(403, "DENIED"))
                    }
                    _ => Verdict::Serve,
                }
            });
        }
        for (at, target) in targets.iter().enumerate() {
            let weather = weather.clone();
            target.rule(move |request| {
                let (weather, _) = &*weather.lock().unwrap();
                let is_tag = request.path.contains("/manifests/") && !request.path.contains(':');
                match weather {
                    Weather::TargetDown(down) if *down == at => {
                        Verdict::Answer(refusal(403, "DENIED"))
                    }
                    _ if at == DIGESTS_ONLY && request.method == "DELETE" && is_tag => {
                        Verdict::Answer(refusal(405, "UNSUPPORTED"))
                    }
                    _ => Verdict::Serve,
                }
            });
        }
        let clients = [&sources[0], &sources[1], &targets[0], &targets[1]].map(Fake::client);
        Self {
            sources,
            targets,
            clients,
            weather,
            transship: Transship::without_config(),
            aged: 0,
            backup: None,
        }
    }

    /// Seconds since 1970, as far as the model is concerned.
    pub fn now(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        i64::try_from(now.as_secs()).unwrap() + self.aged
    }

    pub fn configure(&self, places: &[Place]) {
        let mut text = "[state]\npath = \"transship.db\"\n".to_owned();
        let fakes = self.sources.iter().chain(&self.targets);
        for fake in fakes {
            text += &format!("[registries.\"{}\"]\nplain_http = true\n", fake.host());
        }
        text += &places.iter().map(Place::toml).collect::<String>();
        for (at, (source, target)) in self.sources.iter().zip(&self.targets).enumerate() {
            text = text.replace(&format!("\"S{at}/"), &format!("\"{}/", source.host()));
            text = text.replace(&format!("\"T{at}\""), &format!("\"{}\"", target.host()));
        }
        self.transship.write("mirror.toml", &text);
    }

    /// Pushes an image to both sources.
    pub fn push(&self, repository: &str, tag: &str, image: &Image) {
        for client in &self.clients[..2] {
            client.push(repository, tag, image);
        }
    }

    /// Somebody pushes an image to a target.
    pub fn push_to_target(&self, target: usize, repository: &str, tag: &str, image: &Image) {
        self.clients[2 + target].push(repository, tag, image);
    }

    /// The tags of a repository of the sources.
    pub fn source_tags(&self, repository: &str) -> Tags {
        let mut tags = self.sources[0].contents(|contents| contents.tags());
        tags.remove(repository).unwrap_or_default()
    }

    /// The tags of every repository of a target.
    pub fn target_tags(&self, target: usize) -> Repositories {
        self.targets[target].contents(|contents| contents.tags())
    }

    pub fn weather(&self) -> Weather {
        self.weather.lock().unwrap().0.clone()
    }

    pub fn set_weather(&self, weather: Weather) {
        self.weather.lock().unwrap().0 = weather;
    }

    /// Runs the program. A cut list is cut from what the source has now.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        let mut listed = Vec::new();
        if let Weather::Cut(repository, hidden) = self.weather() {
            let tags = self.source_tags(repository).into_keys();
            listed.extend(tags.filter(|tag| !hidden.contains(tag)));
        }
        self.weather.lock().unwrap().1 = listed;
        self.transship.run(arguments)
    }

    pub fn json(&self, arguments: &[&str]) -> Value {
        let finished = self.run(&[&["--json"], arguments].concat());
        let code = finished.code.unwrap_or_default();
        assert!(code < 64, "{arguments:?} is refused\n{finished}");
        finished.json()
    }

    /// Lets time pass: everything that the store remembers becomes older.
    pub fn age(&mut self, seconds: i64) {
        self.aged += seconds;
        self.shift(seconds);
    }

    /// Lets the clock have been ahead until now: what the store remembers is yet to come.
    pub fn set_clock_back(&self, seconds: i64) {
        self.shift(-seconds);
    }

    fn shift(&self, seconds: i64) {
        if !self.store().exists() {
            return;
        }
        store_clock::shift(&self.transship, seconds);
    }

    fn store(&self) -> std::path::PathBuf {
        self.transship.path().join("transship.db")
    }

    pub fn lose_store(&self) {
        self.transship.forget();
    }

    pub fn back_up_store(&mut self) {
        let copy = self.transship.path().join("old.db");
        drop(fs::remove_file(&copy));
        let copy = copy.display();
        self.transship.ask_store(&format!("VACUUM INTO '{copy}'"));
        self.backup = Some(self.now());
    }

    /// Puts the copy of the store in its place, if there is one.
    pub fn restore_store(&mut self) {
        let Some(made_at) = self.backup.take() else {
            return;
        };
        self.lose_store();
        fs::rename(self.transship.path().join("old.db"), self.store()).unwrap();
        self.shift(self.now() - made_at);
    }
}
