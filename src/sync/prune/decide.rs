//! Which tags of a target are deleted because nobody mirrors them any more. Pure: what deletes is
//! the transfer.

use std::{collections::HashSet, fmt};

use serde::Serialize;

use crate::{
    config::Prune,
    oci::{Digest, Tag},
    sync::snapshot::TargetHolds,
};

/// So few tags may go at once, however large a part of a repository they are.
const FEW: usize = 5;

/// A tag of a target that was mirrored and no longer is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Prunable {
    /// The tag, by its name at the source.
    pub tag: Tag,
    /// What was written for it.
    pub digest: Digest,
    /// Why it is no longer mirrored.
    pub cause: Cause,
    /// Since when, in seconds since 1970: now, if no check before saw it.
    pub since: i64,
    /// Whether no check before saw it.
    #[serde(skip)]
    pub is_new: bool,
    /// What becomes of it.
    #[serde(flatten)]
    pub fate: Decision,
    /// A tag that stays and stands for the same digest.
    #[serde(skip)]
    pub shared_with: Option<Tag>,
}

/// Why a tag is no longer mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// The source no longer has it.
    Orphaned,
    /// The mirror no longer selects it.
    Unselected,
}

/// What becomes of a tag that is no longer mirrored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "lowercase")]
pub enum Decision {
    /// It is deleted.
    Delete,
    /// It is deleted later.
    Wait {
        /// The earliest time, in seconds since 1970.
        until: i64,
    },
    /// It is one of those mirrored last, of which `keep` stay.
    Keep,
    /// It stays: so many at once look like a mistake.
    Refuse {
        /// How many.
        new: usize,
        /// Of how many.
        of: usize,
    },
}

/// What pruning comes to at one target repository.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// Tags that are no longer mirrored, those mirrored last first.
    pub tags: Vec<Prunable>,
    /// Tags that were to be pruned and are mirrored again.
    #[serde(skip)]
    pub reprieved: Vec<Tag>,
}

/// A tag that is no longer mirrored, as the store knows it.
#[derive(Clone, Debug)]
struct Candidate {
    tag: Tag,
    digest: Digest,
    cause: Cause,
    since: Option<i64>,
    mirrored_at: i64,
}

/// Whose tags are judged, and by what.
pub(crate) struct PrunePolicy<'a> {
    pub(crate) rule: Prune,
    pub(crate) mirror: &'a str,
    /// The source repository, as it is written.
    pub(crate) source: &'a str,
    pub(crate) now: i64,
}

impl PrunePolicy<'_> {
    /// What pruning comes to at a target. `cause` tells why a tag is no longer mirrored.
    pub(crate) fn judge(
        &self,
        holds: &TargetHolds,
        cause: impl Fn(&Tag) -> Option<Cause>,
    ) -> Pruned {
        let own = holds.records.iter().filter(|(tag, record)| {
            let is_own = record.mirror == self.mirror && record.source_repository == self.source;
            is_own && !is_referring(tag)
        });
        let (mut candidates, mut reprieved, mut total) = (Vec::new(), Vec::new(), 0);
        for (tag, record) in own {
            let (Some(_), Some(digest)) = (&record.source, &record.written) else {
                continue;
            };
            total += 1;
            match cause(tag) {
                Some(cause) => candidates.push(Candidate {
                    tag: tag.clone(),
                    digest: digest.clone(),
                    cause,
                    since: record.prunable_since,
                    mirrored_at: record.mirrored_at.unwrap_or_default(),
                }),
                None if record.prunable_since.is_some() => reprieved.push(tag.clone()),
                None => {}
            }
        }
        let mut tags = decide(candidates, total, self.rule, self.now);
        share(&mut tags, holds);
        Pruned { tags, reprieved }
    }
}

/// What becomes of each candidate of a repository of `total` tags.
fn decide(mut candidates: Vec<Candidate>, total: usize, rule: Prune, now: i64) -> Vec<Prunable> {
    candidates.sort_by(|a, b| (b.mirrored_at, &a.tag).cmp(&(a.mirrored_at, &b.tag)));
    let is_new = |candidate: &&Candidate| candidate.since.is_none();
    let new = candidates.iter().filter(is_new).count();
    let is_refused = new > FEW && new as f64 > rule.max_share * total as f64;
    let after = i64::try_from(rule.after.as_secs()).unwrap_or(i64::MAX);
    let decided = candidates.into_iter().enumerate();
    let decided = decided.map(|(place, candidate)| {
        let since = candidate.since.unwrap_or(now);
        let until = since.saturating_add(after);
        let fate = match candidate.since {
            None if is_refused => Decision::Refuse { new, of: total },
            _ if place < rule.keep => Decision::Keep,
            // A first check never deletes, however short the wait is.
            Some(since) if since < now && until <= now => Decision::Delete,
            _ => Decision::Wait { until },
        };
        Prunable {
            tag: candidate.tag,
            digest: candidate.digest,
            cause: candidate.cause,
            since,
            is_new: candidate.since.is_none(),
            fate,
            shared_with: None,
        }
    });
    decided.collect()
}

/// Notes which of the tags to be deleted share their digest with one that stays.
fn share(tags: &mut [Prunable], holds: &TargetHolds) {
    let going = tags.iter().filter(|tag| tag.fate == Decision::Delete);
    let going: HashSet<Tag> = going.map(|tag| tag.tag.clone()).collect();
    for tag in tags.iter_mut().filter(|tag| going.contains(&tag.tag)) {
        let mut others = holds.records.iter().filter(|(other, record)| {
            let stays = !going.contains(other) && holds.listing.contains(other);
            stays && record.written.as_ref() == Some(&tag.digest)
        });
        tag.shared_with = others.next().map(|(other, _)| other.clone());
    }
}

/// Whether a tag is that of a signature or the like: it goes with no selection, and stays.
pub(crate) fn is_referring(tag: &Tag) -> bool {
    let hex = tag.as_str().strip_prefix("sha256-");
    let hex = hex.map(|rest| rest.split('.').next().unwrap_or_default());
    hex.is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

impl Prunable {
    /// Whether the store has to be told since when it is no longer mirrored.
    pub fn is_news(&self) -> bool {
        self.is_new && !matches!(self.fate, Decision::Refuse { .. })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Orphaned => "no longer at the source",
            Self::Unselected => "no longer selected",
        })
    }
}

#[cfg(test)]
mod tests;
