//! What happens between runs.

use std::collections::BTreeSet;

use super::Months;
use super::entries::{Choice, Entry, NEWEST_FIRST, Place, Rule};
use super::world::Weather;
use crate::support::registries::corpus::Image;

const REPOSITORIES: [&str; 2] = ["app", "lib"];
const PATHS: [&str; 5] = ["one", "two", "three", "four", "deep/five"];
const HOUR: i64 = 3600;
/// After so long the target is asked for every tag.
const TRUST_ENDS: i64 = 26 * HOUR;

impl Months {
    fn any<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.random.usize(0..choices.len())].clone()
    }

    /// A tag moves or comes to be at the source.
    pub(super) fn push(&mut self) {
        let (repository, tag) = (self.any(&REPOSITORIES), self.any(&NEWEST_FIRST));
        let known: Vec<_> = self.world.source_tags(repository).into_values().collect();
        let kind = self.random.u32(0..10);
        self.made += 1;
        let name = format!("{repository} {}", self.made);
        match kind {
            0..3 if !known.is_empty() => {
                let digest = self.any(&known);
                for source in &self.world.sources {
                    source.contents(|contents| contents.retag(repository, tag, &digest));
                }
            }
            // Few names, so that digests come back.
            3..6 => {
                let name = format!("{repository} again {}", self.made % 4);
                self.world.push(repository, tag, &Image::oci(&name));
            }
            6..8 => {
                let children = ["linux/amd64", "linux/arm64"];
                let children = children.map(|platform| Image::oci_for(&name, platform));
                let index = Image::index(children.to_vec());
                self.world.push(repository, tag, &index);
                if kind == 7 {
                    // A child has a tag of its own.
                    let tag = self.any(&NEWEST_FIRST);
                    self.world.push(repository, tag, &index.children[0]);
                }
            }
            _ => self.world.push(repository, tag, &Image::oci(&name)),
        }
        self.note(format!("push {repository}:{tag}"));
    }

    /// The source deletes a tag, or most of them.
    pub(super) fn drop_at_source(&mut self) {
        let repository = self.any(&REPOSITORIES);
        let mut tags: Vec<_> = self.world.source_tags(repository).into_keys().collect();
        let most = match self.random.u32(0..8) {
            0 => tags.len().saturating_sub(2),
            _ => 1,
        };
        self.random.shuffle(&mut tags);
        if self.random.bool() {
            // What an index that stays leads to goes first.
            let children = self.children(repository);
            let source = self.world.source_tags(repository);
            tags.sort_by_key(|tag| !children.contains(&source[tag]));
        }
        let spared = 2.min(tags.len());
        tags.truncate(most.min(tags.len() - spared));
        for source in &self.world.sources {
            for tag in &tags {
                source.contents(|contents| contents.untag(repository, tag));
            }
        }
        self.note(format!("the source deletes {repository} {tags:?}"));
    }

    /// The manifests that the indexes of a source repository lead to.
    fn children(&self, repository: &str) -> BTreeSet<String> {
        let digests = self.world.source_tags(repository).into_values();
        let source = &self.world.sources[0];
        let children = digests
            .flat_map(|digest| source.contents(|contents| contents.children(repository, &digest)));
        children.map(|(child, _)| child).collect()
    }

    /// Somebody else changes a target.
    pub(super) fn meddle(&mut self) {
        let at = self.random.usize(0..2);
        let tags = self.world.target_tags(at).into_iter();
        let tags =
            tags.flat_map(|(path, tags)| tags.into_iter().map(move |tag| (path.clone(), tag)));
        let tags: Vec<_> = tags.collect();
        if tags.is_empty() {
            return;
        }
        // A leftover that somebody needs stays where only digests can be deleted.
        let is_leftover = |(path, (tag, _)): &&(String, (String, String))| {
            let row = self.memory.rows.get(&(at, path.clone(), tag.clone()));
            row.is_some_and(|row| row.may.is_some())
        };
        let leftovers: Vec<_> = tags.iter().filter(is_leftover).cloned().collect();
        let kind = self.random.u32(0..10);
        let tags = match kind {
            5.. if !leftovers.is_empty() => leftovers,
            _ => tags,
        };
        let (path, (tag, digest)) = self.any(&tags);
        let target = &self.world.targets[at];
        match kind {
            0..3 => {
                target.contents(|contents| contents.untag(&path, &tag));
                self.note(format!("somebody deletes T{at} {path}:{tag}"));
            }
            3..5 => {
                self.made += 1;
                let image = Image::oci(&format!("somebody's {}", self.made));
                self.world.push_to_target(at, &path, &tag, &image);
                self.world.age(TRUST_ENDS);
                self.note(format!("somebody moves T{at} {path}:{tag}"));
            }
            _ => {
                target.contents(|contents| contents.retag(&path, "foreign", &digest));
                self.note(format!("somebody tags T{at} {path}:{tag} as foreign"));
            }
        }
    }

    pub(super) fn wait(&mut self) {
        let hours = self.any(&[1, 5, 26, 50, 200]);
        self.world.age(hours * HOUR);
        self.note(format!("{hours} h pass"));
    }

    pub(super) fn wait_for_days(&mut self) {
        let hours = self.any(&[26, 50, 200]);
        self.world.age(hours * HOUR);
        self.note(format!("{hours} h pass"));
    }

    pub(super) fn set_clock_back(&mut self) {
        let hours = self.any(&[200, 9000]);
        self.world.set_clock_back(hours * HOUR);
        for row in self.memory.rows.values_mut() {
            row.mirrored += hours * HOUR;
            row.verified += hours * HOUR;
            let noted = [&mut row.may, &mut row.must].into_iter().flatten();
            noted.for_each(|since| *since += hours * HOUR);
        }
        for behind in self.memory.lag.values_mut() {
            behind.since += hours * HOUR;
        }
        self.note(format!("the clock was {hours} h ahead"));
    }

    pub(super) fn lose_or_restore(&mut self) {
        match self.random.u32(0..5) {
            0 => {
                self.world.lose_store();
                self.memory = super::Memory::default();
                self.note("the store is lost".to_owned());
                // Until it has one again.
                self.world.set_weather(Weather::Fair);
                self.world.json(&["status"]);
            }
            1..3 => {
                self.world.back_up_store();
                self.old_memory = Some(self.memory.clone());
                self.note("the store is copied".to_owned());
            }
            _ => {
                let Some(memory) = self.old_memory.take() else {
                    return;
                };
                self.world.age(TRUST_ENDS);
                self.world.restore_store();
                self.memory = memory;
                self.note("the old store is put back".to_owned());
            }
        }
    }

    /// Something goes wrong for a while.
    pub(super) fn cloud_over(&mut self) {
        let repository = self.any(&REPOSITORIES);
        let tags: Vec<_> = self.world.source_tags(repository).into_iter().collect();
        let weather = match self.random.u32(0..7) {
            0 => Weather::SourceDown,
            1 | 2 => Weather::Gone(repository),
            3 => Weather::Empty(repository),
            4 => return self.cut_list(),
            5 => {
                let bad: BTreeSet<_> = tags.iter().map(|(_, digest)| digest).collect();
                let bad: Vec<_> = bad.into_iter().cloned().collect();
                let bad: BTreeSet<_> = (0..3).map(|_| self.any(&bad)).collect();
                let tags = tags.iter().filter(|(_, digest)| bad.contains(digest));
                let tags = tags.map(|(tag, _)| tag.clone());
                Weather::Unreadable(tags.chain(bad.clone()).collect())
            }
            _ => Weather::TargetDown(self.random.usize(0..2)),
        };
        self.weather_left = self.random.u64(3..16);
        self.note(format!("{weather:?}"));
        self.world.set_weather(weather);
    }

    /// A list leaves tags out; those that lag, if there are any.
    pub(super) fn cut_list(&mut self) {
        let repository = self.any(&REPOSITORIES);
        let mut hidden: Vec<_> = self.world.source_tags(repository).into_keys().collect();
        self.random.shuffle(&mut hidden);
        let places = self.places.iter();
        let places: Vec<_> = places.filter(|p| p.repository == repository).collect();
        let lags = |tag: &String| {
            let mut keys = self.memory.lag.keys();
            keys.any(|(_, path, target_tag)| {
                let mut places = places.iter();
                places.any(|p| p.path == *path && p.target_tag(tag) == *target_tag)
            })
        };
        hidden.sort_by_key(|tag| !lags(tag));
        hidden.truncate(self.random.usize(1..4).min(hidden.len() - 1));
        let weather = Weather::Cut(repository, hidden.into_iter().collect());
        self.weather_left = self.random.u64(3..16);
        self.note(format!("{weather:?}"));
        self.world.set_weather(weather);
    }

    pub(super) fn clear_up(&mut self) {
        self.world.set_weather(Weather::Fair);
        self.note("the weather is fair".to_owned());
    }

    /// Somebody edits `mirror.toml`.
    pub(super) fn edit(&mut self) {
        let mut places = self.places.clone();
        let at = self.random.usize(0..places.len());
        match self.random.u32(0..20) {
            0 => self.add_or_remove(&mut places),
            1 => {
                let others = places.iter().map(|place| &place.path);
                let free = PATHS
                    .iter()
                    .filter(|path| others.clone().all(|other| other != *path));
                let free: Vec<_> = free.collect();
                places[at].path = (*self.any(&free)).to_owned();
            }
            2 => places[at].home = 1 - places[at].home,
            3 => places[at].suffix = self.any(&["", "-x"]),
            4 | 5 => places[at].targets = self.any(&[vec![0], vec![1], vec![0, 1], vec![0, 1]]),
            6 => places[at].has_backup = self.random.bool(),
            7 => places[at].max_share = self.any(&[0.2, 0.5, 1.0]),
            8 | 9 => self.join_or_part(&mut places[at]),
            10 | 11 => {
                let entry = self.random.usize(0..places[at].entries.len());
                places[at].entries[entry].name = format!("named-{}", self.step);
            }
            12..14 => {
                let entry = self.random.usize(0..places[at].entries.len());
                places[at].entries[entry].prune = self.rule();
            }
            _ => {
                let entry = self.random.usize(0..places[at].entries.len());
                places[at].entries[entry].choice = self.choice();
                set_apart(&mut places[at]);
            }
        }
        let lines = |places: &[Place]| {
            let text: String = places.iter().map(Place::toml).collect();
            text.lines().map(str::to_owned).collect::<BTreeSet<_>>()
        };
        let changed: Vec<_> = lines(&places)
            .difference(&lines(&self.places))
            .cloned()
            .collect();
        self.note(format!("edit: {}", changed.join(" | ")));
        self.places = places;
        self.world.configure(&self.places);
    }

    fn add_or_remove(&mut self, places: &mut Vec<Place>) {
        if places.len() > 2 {
            places.pop();
            return;
        }
        let free = PATHS
            .iter()
            .find(|path| places.iter().all(|place| place.path != **path));
        let entry = Entry {
            name: format!("added-{}", self.step),
            choice: self.choice(),
            prune: self.rule(),
        };
        places.push(Place {
            home: 0,
            repository: self.any(&REPOSITORIES),
            path: free.map(|path| (*path).to_owned()).expect("a path is free"),
            targets: self.any(&[vec![0], vec![1], vec![0, 1]]),
            suffix: self.any(&["", "-x"]),
            has_backup: false,
            max_share: 0.5,
            entries: vec![entry],
        });
    }

    /// A second entry writes to the same place, or no longer.
    fn join_or_part(&mut self, place: &mut Place) {
        if place.entries.len() > 1 {
            let goes = self.random.usize(0..2);
            place.entries.remove(goes);
            return;
        }
        let entry = Entry {
            name: format!("joined-{}", self.step),
            choice: self.choice(),
            prune: self.rule(),
        };
        let position = self.random.usize(0..2);
        place.entries.insert(position, entry);
        set_apart(place);
    }

    fn rule(&mut self) -> Option<Rule> {
        let rule = |after_hours, keep| Some(Rule { after_hours, keep });
        let rules = [
            None,
            rule(1, 0),
            rule(24, 0),
            rule(48, 0),
            rule(168, 0),
            rule(1, 1),
            rule(48, 2),
        ];
        self.any(&rules)
    }

    fn choice(&mut self) -> Choice {
        let named = [
            vec!["latest", "v1.1.0"],
            vec!["v2.0.0", "nightly-1", "edge"],
        ];
        match self.random.u32(0..5) {
            0 | 1 => Choice::Named(self.any(&named)),
            _ => Choice::Glob {
                tags: self.any(&["*", "*", "v*", "v1.*", "nightly-*"]),
                exclude: self.any(&[None, None, Some("nightly-*"), Some("v1.1*"), Some("latest")]),
                latest: self.any(&[None, None, Some(1), Some(2), Some(4)]),
            },
        }
    }
}

/// Two entries never name one tag: the file would be refused.
fn set_apart(place: &mut Place) {
    if let [first, second] = &mut place.entries[..]
        && let (Choice::Named(first), Choice::Named(second)) = (&first.choice, &mut second.choice)
    {
        second.retain(|tag| !first.contains(tag));
        if second.is_empty() {
            *second = vec!["v1.9.0"];
        }
    }
}
