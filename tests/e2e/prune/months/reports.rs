//! Where what the program reports is not so: the plan, the result of a run and the status.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Months;
use super::entries::{Choice, Entry, Place, Repositories, Tags};
use super::oracle::{Key, Row, SLACK};
use super::world::{DIGESTS_ONLY, Weather};
use crate::support::programs::transship::mirror;

impl Months {
    /// What the plan promised to delete, and the run did not, or the other way round.
    pub(super) fn misplanned(
        &self,
        plan: &Value,
        (before, after): (&[Repositories], &[Repositories]),
    ) -> Option<String> {
        // Which tags need a digest is known when it is to be deleted.
        let at = 1 - DIGESTS_ONLY;
        let host = format!("{}/", self.world.targets[at].host());
        let mut planned = BTreeSet::new();
        let routes = plan["mirrors"].as_array().into_iter().flatten();
        let routes = routes.flat_map(|mirror| mirror["routes"].as_array().unwrap());
        let targets = routes.flat_map(|route| route["targets"].as_array().into_iter().flatten());
        for target in targets {
            let repository = target["repository"].as_str().unwrap();
            let Some(path) = repository.strip_prefix(&host) else {
                continue;
            };
            let tags = target["pruned"]["tags"].as_array().into_iter().flatten();
            let tags = tags.filter(|tag| tag["action"] == "delete");
            let name = |tag: &Value| tag["target_tag"].as_str().unwrap().to_owned();
            planned.extend(tags.map(|tag| (path.to_owned(), name(tag))));
        }
        let mut gone = BTreeSet::new();
        for (path, tags) in &before[at] {
            let left = after[at].get(path);
            let tags = tags
                .keys()
                .filter(|tag| left.is_none_or(|left| !left.contains_key(*tag)));
            gone.extend(tags.map(|tag| (path.clone(), tag.clone())));
        }
        match planned == gone {
            true => None,
            false => Some(format!("PLAN deletes {planned:?}, the run {gone:?}")),
        }
    }

    /// Entries that did not fail, although their source gave no evidence.
    pub(super) fn silent(&self, weather: &Weather, report: &Value) -> Vec<String> {
        let mut silent = Vec::new();
        for place in &self.places {
            for entry in &place.entries {
                let must_fail = match weather {
                    Weather::SourceDown => true,
                    Weather::Gone(gone) => *gone == place.repository,
                    Weather::Empty(empty) => {
                        *empty == place.repository
                            && !entry.choice.is_named()
                            && self.memory.is_mirrored(place, entry)
                    }
                    _ => false,
                };
                if must_fail && mirror(report, &entry.name)["result"] == "ok" {
                    silent.push(format!("SILENT {}: its run is ok", entry.name));
                }
            }
        }
        silent
    }

    /// Where `status` and a further plan contradict the targets.
    pub(super) fn misreported(&self, weather: &Weather, after: &[Repositories]) -> Vec<String> {
        let mut wrong = Vec::new();
        let (status, source) = (self.world.json(&["status"]), self.source());
        let is_lost = |place: &Place, entry: &Entry| match &entry.choice {
            Choice::Named(named) => {
                let held = &source[place.repository];
                named.iter().any(|tag| !held.contains_key(*tag))
            }
            Choice::Glob { .. } => false,
        };
        let mut are_all_there = true;
        for place in &self.places {
            for entry in &place.entries {
                let shown = mirror(&status, &entry.name);
                for at in &place.targets {
                    let host = self.world.targets[*at].host();
                    let targets = shown["targets"].as_array().unwrap().iter();
                    let shown = targets.clone().find(|target| target["target"] == host);
                    wrong.extend(self.misjudged(weather, (place, entry, *at), shown, &after[*at]));
                }
                let is_lost = is_lost(place, entry);
                are_all_there &= !is_lost;
                let state = &shown["state"];
                if *weather == Weather::Fair && (state == "in sync") == is_lost {
                    wrong.push(format!("STATE of {} is {state}", entry.name));
                }
            }
        }
        if *weather == Weather::Fair && are_all_there {
            let plan = self.world.run(&["plan", "--exit-code"]);
            if plan.code != Some(0) {
                wrong.push(format!("PLAN after a clean run\n{plan}"));
            }
        }
        wrong
    }

    /// Where the status of one entry at one target is wrong.
    fn misjudged(
        &self,
        weather: &Weather,
        (place, entry, at): (&Place, &Entry, usize),
        shown: Option<&Value>,
        after: &Repositories,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        let is_own = |key: &Key| key.0 == at && key.1 == place.path;
        let lag = self.memory.lag.iter();
        let lag = lag.filter(|(key, behind)| is_own(key) && behind.owner == entry.name);
        let since = lag.map(|(_, behind)| behind.since).min();
        let lag = since.map_or(0, |since| (self.world.now() - since).max(0));
        let name = &entry.name;
        let found = number(shown, "lag_seconds");
        if (found - lag).abs() > SLACK {
            wrong.push(format!("LAG of {name} at T{at} is {found} s, not {lag} s"));
        }
        wrong.extend(self.miscounted(weather, (place, entry, at), shown, after));
        wrong
    }

    /// Where the status of one entry at one target counts other tags than there are.
    fn miscounted(
        &self,
        weather: &Weather,
        (place, entry, at): (&Place, &Entry, usize),
        shown: Option<&Value>,
        after: &Repositories,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        let name = &entry.name;
        let is_own = |key: &Key| key.0 == at && key.1 == place.path;
        if !matches!(weather, Weather::Fair | Weather::Cut(..)) {
            return wrong;
        }
        let none = Tags::new();
        let tags = after.get(&place.path).unwrap_or(&none);
        let rows = self.memory.rows.iter();
        let is_cut = matches!(weather, Weather::Cut(..));
        let is_kept = |key: &Key, row: &Row| match is_cut {
            // A rename hands over what is no longer mirrored, whatever the list leaves out.
            true => place.heir(&key.2, &row.keeper).name == *name,
            false => row.keeper == *name,
        };
        let rows =
            rows.filter(|(key, row)| is_own(key) && is_kept(key, row) && tags.contains_key(&key.2));
        let rows: Vec<_> = rows.map(|(key, _)| &key.2).collect();
        let source = &self.source()[place.repository];
        let is_orphan = |tag: &&&String| {
            let tag = place.source_tag(tag);
            tag.is_none_or(|tag| !source.contains_key(tag))
        };
        let orphans = rows.iter().filter(is_orphan).count();
        if let Weather::Cut(cut, hidden) = weather {
            // What a list leaves out is no orphan, if an entry asks for it.
            let held: BTreeSet<String> = source.keys().cloned().collect();
            let wanted = place.wanted(&held, &held, |_| true);
            let is_lost = |tag: &&&String| {
                let is_hidden = place
                    .source_tag(tag)
                    .is_some_and(|tag| hidden.contains(tag));
                is_hidden && !wanted.contains_key(**tag)
            };
            let lost = rows.iter().filter(is_lost).count();
            let most = orphans + if *cut == place.repository { lost } else { 0 };
            let found = number(shown, "orphaned");
            if found > i64::try_from(most).unwrap() {
                wrong.push(format!(
                    "STATUS of {name} at T{at}: {found} orphaned by a cut list, not {most}"
                ));
            }
            return wrong;
        }
        for (key, truth) in [("tags", rows.len()), ("orphaned", orphans), ("behind", 0)] {
            let found = number(shown, key);
            if found != i64::try_from(truth).unwrap() {
                wrong.push(format!(
                    "STATUS of {name} at T{at}: {found} {key}, not {truth}"
                ));
            }
        }
        wrong
    }
}

fn number(shown: Option<&Value>, key: &str) -> i64 {
    let number = shown.and_then(|shown| shown[key].as_i64());
    number.unwrap_or_default()
}
