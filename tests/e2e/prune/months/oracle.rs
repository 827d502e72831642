//! What must hold after a run, by what the documents promise. It knows no code of the program: it
//! remembers when each tag may have been seen to be a leftover at the earliest, and when it must have
//! been at the latest.

use std::collections::{BTreeMap, BTreeSet};

use super::entries::{Entry, Place, Repositories, Tags};
use super::world::{DIGESTS_ONLY, Weather};

/// Seconds that a busy machine may take between two steps.
pub const SLACK: i64 = 900;
const HOUR: i64 = 3600;
/// The target's word on a tag is trusted for so long.
const TRUST: i64 = 24 * HOUR;
/// So few leftovers are never too many.
const FEW: usize = 5;

/// Target, repository and tag.
pub type Key = (usize, String, String);

/// A tag that the program wrote.
#[derive(Clone, Debug)]
pub struct Row {
    pub written: String,
    pub keeper: String,
    /// Where it came from.
    pub source: String,
    pub mirrored: i64,
    /// When its digest was last compared at the latest.
    pub verified: i64,
    /// Since when it may count as a leftover, and must.
    pub may: Option<i64>,
    pub must: Option<i64>,
}

/// Since when a tag lags, for the entry that brings it.
#[derive(Clone, Debug)]
pub struct Behind {
    pub since: i64,
    pub owner: String,
    pub source: String,
}

/// What the program is known to know.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    pub rows: BTreeMap<Key, Row>,
    pub lag: BTreeMap<Key, Behind>,
}

/// One run, as the oracle sees it.
pub struct Observed<'a> {
    pub places: &'a [Place],
    pub weather: &'a Weather,
    /// When it began.
    pub at: i64,
    pub source: &'a BTreeMap<&'static str, Tags>,
    pub before: &'a [Repositories],
    pub after: &'a [Repositories],
    /// The manifests that indexes lead to, by their digests.
    pub children: &'a BTreeMap<String, Vec<String>>,
    /// Whether tags are copied; `prune` only deletes.
    pub copies: bool,
}

/// One place at one target in one run.
struct Site<'a> {
    target: usize,
    place: &'a Place,
    /// The tags that are wanted by what the source lists, and by what it has.
    visible: BTreeMap<String, (String, String)>,
    wanted: BTreeMap<String, (String, String)>,
    /// Whether the source answers for its tags.
    is_seen: bool,
    is_up: bool,
    is_fair: bool,
}

impl Memory {
    /// Judges a run and remembers what it did. Reports what must not be.
    pub fn judge(&mut self, run: &Observed<'_>) -> Vec<String> {
        let mut wrong = Vec::new();
        for target in 0..run.before.len() {
            let paths: BTreeSet<&String> = run.before[target]
                .keys()
                .chain(run.after[target].keys())
                .chain(run.places.iter().map(|place| &place.path))
                .collect();
            for path in paths {
                let none = Tags::new();
                let before = run.before[target].get(path).unwrap_or(&none);
                let after = run.after[target].get(path).unwrap_or(&none);
                let writes =
                    |place: &&Place| place.path == *path && place.targets.contains(&target);
                match run.places.iter().find(writes) {
                    Some(place) => {
                        let site = run.site(target, place);
                        self.changes(run, &site, (before, after), &mut wrong);
                        self.losses(run, &site, (before, after), &mut wrong);
                        self.learn(run, &site, (before, after));
                        self.leftovers(run, &site, (before, after), &mut wrong);
                    }
                    None if before != after => {
                        wrong.push(format!(
                            "no entry writes to T{target} {path}, and it changed"
                        ));
                    }
                    None => {}
                }
            }
        }
        let is_written = |key: &Key, behind: &Behind| {
            let mut places = run.places.iter();
            places.any(|place| {
                let mut entries = place.entries.iter();
                place.path == key.1
                    && place.targets.contains(&key.0)
                    && entries.any(|entry| entry.name == behind.owner)
            })
        };
        self.lag.retain(|key, behind| is_written(key, behind));
        wrong
    }

    /// Whether a tag that an entry still selects was mirrored for it from where it reads now.
    pub fn is_mirrored(&self, place: &Place, entry: &Entry) -> bool {
        let mut rows = self.rows.iter();
        rows.any(|((target, path, tag), row)| {
            let tag = place.source_tag(tag);
            place.targets.contains(target)
                && place.path == *path
                && place.source() == row.source
                && entry.name == row.keeper
                && row.may.is_none()
                && row.must.is_none()
                && tag.is_some_and(|tag| entry.choice.allows(tag))
        })
    }

    /// Every wanted tag stands as the source has it, and nothing else moved.
    fn changes(
        &self,
        run: &Observed<'_>,
        site: &Site<'_>,
        (before, after): (&Tags, &Tags),
        wrong: &mut Vec<String>,
    ) {
        let at = |tag: &str| format!("T{} {}:{tag}", site.target, site.place.path);
        let source = &run.source[site.place.repository];
        for (tag, (name, _)) in &site.visible {
            let digest = &source[name];
            let is_trusted = self.rows.get(&site.key(tag)).is_some_and(|row| {
                row.written == *digest && (0..TRUST).contains(&(run.at - row.verified))
            });
            let is_left = after.contains_key(tag) && is_trusted;
            let is_due = run.copies && site.is_seen && site.is_up && run.is_readable(digest);
            if is_due && after.get(tag) != Some(digest) && !is_left {
                let found = after.get(tag);
                wrong.push(format!(
                    "CONTENT {} is {found:?}, the source has {digest}",
                    at(tag)
                ));
            }
        }
        for (tag, digest) in after {
            if before.get(tag) == Some(digest) {
                continue;
            }
            let brought = site.visible.get(tag).map(|(name, _)| &source[name]);
            let base = tag.strip_suffix(".prev");
            let kept = base
                .filter(|_| site.place.has_backup)
                .and_then(|base| before.get(base));
            if !run.copies || ![brought, kept].contains(&Some(digest)) {
                let was = before.get(tag);
                wrong.push(format!("FOREIGN {} was {was:?} and is {digest}", at(tag)));
            }
        }
    }

    /// What went had to go.
    fn losses(
        &self,
        run: &Observed<'_>,
        site: &Site<'_>,
        (before, after): (&Tags, &Tags),
        wrong: &mut Vec<String>,
    ) {
        for (tag, digest) in before.iter().filter(|(tag, _)| !after.contains_key(*tag)) {
            if let Err(why) = self.may_go(run, site, (before, tag, digest)) {
                let (target, path) = (site.target, &site.place.path);
                wrong.push(format!("LOSS T{target} {path}:{tag} was deleted: {why}"));
            }
        }
    }

    fn may_go(
        &self,
        run: &Observed<'_>,
        site: &Site<'_>,
        (before, tag, digest): (&Tags, &str, &str),
    ) -> Result<(), String> {
        let refuse = |why: &str| Err(why.to_owned());
        let Some(row) = self.rows.get(&site.key(tag)) else {
            return refuse("transship never wrote it");
        };
        let heir = site.place.heir(tag, &row.keeper);
        let Some(rule) = heir.prune else {
            return Err(format!("{} does not prune", heir.name));
        };
        if !site.is_up || !run.is_evidence(site, tag) {
            return refuse("the source said nothing of it");
        }
        if site.wanted.contains_key(tag) || site.visible.contains_key(tag) {
            return refuse("it is wanted");
        }
        if row.written != digest {
            return refuse("somebody else moved it");
        }
        let Some(since) = row.may else {
            return refuse("no check before found it to be a leftover");
        };
        let waited = run.at - since.min(run.at);
        if waited < rule.after_hours * HOUR - SLACK {
            return Err(format!("it waited {} h only", waited / HOUR));
        }
        let newer = self.leftovers_of(site, before);
        let newer = newer.filter(|(other, r)| *other != tag && r.mirrored >= row.mirrored - SLACK);
        match newer.count() < rule.keep {
            true => refuse("it is one of those that `keep` keeps"),
            false => Ok(()),
        }
    }

    /// The leftovers that stand at the target.
    fn leftovers_of<'a>(
        &'a self,
        site: &'a Site<'_>,
        tags: &'a Tags,
    ) -> impl Iterator<Item = (&'a str, &'a Row)> {
        let rows = tags
            .keys()
            .filter_map(|tag| Some((tag.as_str(), self.rows.get(&site.key(tag))?)));
        rows.filter(|(tag, _)| !site.wanted.contains_key(*tag))
    }

    /// Remembers what a run wrote, and what lags.
    fn learn(&mut self, run: &Observed<'_>, site: &Site<'_>, (before, after): (&Tags, &Tags)) {
        for tag in before.keys().filter(|tag| !after.contains_key(*tag)) {
            self.rows.remove(&site.key(tag));
        }
        if !site.is_seen || !run.copies {
            return;
        }
        let source = &run.source[site.place.repository];
        let home = site.place.source();
        for (tag, (name, owner)) in &site.visible {
            let (key, digest) = (site.key(tag), &source[name]);
            let known = self.rows.get(&key);
            let is_mirrored = match site.is_up {
                true => after.get(tag) == Some(digest),
                false => known.is_some_and(|row| row.written == *digest),
            };
            let stays = |behind: &&Behind| behind.owner == *owner && behind.source == home;
            let lagged = self
                .lag
                .get(&key)
                .filter(stays)
                .map(|behind| behind.since.min(run.at));
            let since = match (is_mirrored, site.is_up) {
                (true, true) => None,
                (true, false) => lagged,
                (false, _) => Some(lagged.unwrap_or(run.at)),
            };
            self.lag.remove(&key);
            if let Some(since) = since {
                let (owner, source) = (owner.clone(), home.clone());
                self.lag.insert(
                    key.clone(),
                    Behind {
                        since,
                        owner,
                        source,
                    },
                );
            }
            if is_mirrored && site.is_up {
                let is_new = before.get(tag) != Some(digest);
                let mirrored = known.filter(|_| !is_new).map(|row| row.mirrored);
                let row = Row {
                    written: digest.clone(),
                    keeper: owner.clone(),
                    source: home.clone(),
                    mirrored: mirrored.unwrap_or(run.at),
                    verified: run.at,
                    may: None,
                    must: None,
                };
                self.rows.insert(key, row);
            } else if let Some(row) = self.rows.get_mut(&key) {
                (row.keeper, row.may, row.must) = (owner.clone(), None, None);
            }
        }
    }

    /// Notes leftovers, and finds those that should have gone.
    fn leftovers(
        &mut self,
        run: &Observed<'_>,
        site: &Site<'_>,
        (before, after): (&Tags, &Tags),
        wrong: &mut Vec<String>,
    ) {
        let is_here = |key: &Key| key.0 == site.target && key.1 == site.place.path;
        if site.is_fair && run.copies {
            let is_wanted = |tag: &String| site.wanted.contains_key(tag);
            self.lag.retain(|key, _| !is_here(key) || is_wanted(&key.2));
        }
        if !site.is_up {
            return;
        }
        if site.is_fair && run.copies {
            for key in self.overdue(run, site, (before, after)) {
                wrong.push(format!("NOT PRUNED {key:?}, {:?}", self.rows[&key]));
            }
        }
        self.note(run, site, before);
        if site.is_fair && run.copies {
            // What somebody else deleted is forgotten.
            self.rows
                .retain(|key, _| !is_here(key) || after.contains_key(&key.2));
        }
    }

    fn overdue(
        &self,
        run: &Observed<'_>,
        site: &Site<'_>,
        (before, after): (&Tags, &Tags),
    ) -> Vec<Key> {
        let mut overdue = Vec::new();
        for (tag, row) in self.leftovers_of(site, after) {
            let Some(rule) = site.place.heir(tag, &row.keeper).prune else {
                continue;
            };
            let newer = self.leftovers_of(site, before);
            let newer = newer.filter(|(_, other)| other.mirrored > row.mirrored + SLACK);
            let is_due = row.must.is_some_and(|since| {
                run.at - since > rule.after_hours * HOUR + SLACK && newer.count() >= rule.keep
            });
            let is_theirs = before.get(tag) != Some(&row.written);
            let leads = |tags| Self::is_needed(run, site, (tag, row), tags);
            // What needs it at the beginning keeps it until the next run.
            let is_answered = run.is_answered(site, tag);
            if is_due && is_answered && !is_theirs && !leads(before) && !leads(after) {
                overdue.push(site.key(tag));
            }
        }
        overdue
    }

    /// Whether a tag that stays needs a leftover's digest, where only digests can be deleted.
    fn is_needed(
        run: &Observed<'_>,
        site: &Site<'_>,
        (tag, row): (&str, &Row),
        tags: &Tags,
    ) -> bool {
        let leads = |digest: &String| {
            let children = run.children.get(digest).into_iter().flatten();
            digest == &row.written || children.clone().any(|child| *child == row.written)
        };
        site.target == DIGESTS_ONLY && tags.iter().any(|(other, d)| other != tag && leads(d))
    }

    /// Notes since when tags are leftovers.
    fn note(&mut self, run: &Observed<'_>, site: &Site<'_>, before: &Tags) {
        let is_here = |key: &Key| key.0 == site.target && key.1 == site.place.path;
        let total = self.rows.keys().filter(|key| is_here(key)).count();
        let listed = self
            .rows
            .keys()
            .filter(|key| is_here(key) && before.contains_key(&key.2));
        let listed = listed.count();
        let prunes = |key: &Key, row: &Row| site.place.heir(&key.2, &row.keeper).prune.is_some();
        let new = self.rows.iter().filter(|(key, row)| {
            is_here(key) && !site.wanted.contains_key(&key.2) && prunes(key, row)
        });
        let new: Vec<_> = new.collect();
        let is_surely_new = |(key, row): &&(&Key, &Row)| {
            let is_noted = row.may.is_some() || row.must.is_some();
            !is_noted && !site.visible.contains_key(&key.2)
        };
        let fewest = new.iter().filter(is_surely_new).count();
        let most = new.iter().filter(|(_, row)| row.must.is_none()).count();
        let is_refused = |new: usize, total: usize| {
            new > FEW && new as f64 > site.place.max_share * total as f64
        };
        let is_surely_refused = is_refused(fewest, total) && listed == total;
        let is_surely_noted = !is_refused(most, listed.min(total));
        for (key, row) in self.rows.iter_mut().filter(|(key, _)| is_here(key)) {
            if site.wanted.contains_key(&key.2) {
                row.must = None;
                if site.is_fair {
                    row.may = None;
                }
                continue;
            }
            let heir = site.place.heir(&key.2, &row.keeper);
            if heir.prune.is_some() && run.is_evidence(site, &key.2) && !is_surely_refused {
                row.may = Some(row.may.unwrap_or(run.at).min(run.at));
                let is_answered = site.is_fair && run.is_answered(site, &key.2);
                if is_answered && (is_surely_noted || row.must.is_some()) {
                    row.must = Some(row.must.unwrap_or(run.at).min(run.at));
                }
            }
            if site.is_fair && run.copies {
                row.keeper = heir.name.clone();
            }
        }
    }
}

impl Observed<'_> {
    fn site<'a>(&self, target: usize, place: &'a Place) -> Site<'a> {
        let held: BTreeSet<String> = self.source[place.repository].keys().cloned().collect();
        let (mut listed, mut is_seen) = (held.clone(), true);
        let mut answers: fn(&Entry) -> bool = |_| true;
        let mut is_fair = true;
        match self.weather {
            Weather::SourceDown => (is_seen, is_fair) = (false, false),
            Weather::Gone(gone) if *gone == place.repository => (is_seen, is_fair) = (false, false),
            Weather::Empty(empty) if *empty == place.repository => {
                is_fair = false;
                answers = |entry| entry.choice.is_named();
            }
            Weather::Cut(cut, hidden) if *cut == place.repository => {
                is_fair = false;
                listed.retain(|tag| !hidden.contains(tag));
            }
            _ => {}
        }
        Site {
            target,
            place,
            visible: place.wanted(&listed, &held, answers),
            wanted: place.wanted(&held, &held, |_| true),
            is_seen,
            is_up: *self.weather != Weather::TargetDown(target),
            is_fair,
        }
    }

    /// Whether what the source says can make a tag of the target a leftover.
    fn is_evidence(&self, site: &Site<'_>, target_tag: &str) -> bool {
        let tag = site.place.source_tag(target_tag);
        match self.weather {
            Weather::Empty(empty) if *empty == site.place.repository => {
                let entries = &site.place.entries;
                let globs = entries.iter().filter(|entry| !entry.choice.is_named());
                let is_open = |tag: &str| globs.clone().any(|entry| entry.choice.allows(tag));
                entries.iter().any(|entry| entry.choice.is_named()) && !tag.is_some_and(is_open)
            }
            _ => site.is_seen,
        }
    }

    /// Whether the source, asked for a leftover by its name, has an answer.
    fn is_answered(&self, site: &Site<'_>, target_tag: &str) -> bool {
        let tag = site.place.source_tag(target_tag);
        match self.weather {
            Weather::Unreadable(manifests) => tag.is_none_or(|tag| !manifests.contains(tag)),
            _ => true,
        }
    }

    /// Whether the source gives out an image.
    fn is_readable(&self, digest: &str) -> bool {
        let Weather::Unreadable(manifests) = self.weather else {
            return true;
        };
        let children = self.children.get(digest).into_iter().flatten();
        !manifests.contains(digest) && !children.clone().any(|child| manifests.contains(child))
    }
}

impl Site<'_> {
    fn key(&self, tag: &str) -> Key {
        (self.target, self.place.path.clone(), tag.to_owned())
    }
}
