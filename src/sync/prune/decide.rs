//! Which tags of a target are deleted because nobody mirrors them any more. Pure: what deletes is
//! the transfer.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
};

use serde::Serialize;

use crate::{
    config::{ON_DEMAND, Prune},
    oci::{Digest, Tag},
    store::KeptFor,
    sync::{
        plan::wanted::{Asked, Wanted},
        route_group::RouteGroup,
        snapshot::TargetHolds,
    },
};

/// So few tags may go at once, however large a part of a repository they are.
const FEW: usize = 5;

/// Why a registry without deletion keeps a tag.
const NO_DELETION: &str = "this registry deletes nothing; delete the tag in its own console";

/// A tag of a target that was mirrored and no longer is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Prunable {
    /// The tag, by its name at the source; where it can have none, by that at the target.
    pub tag: Tag,
    /// The tag, by its name at the target.
    pub target_tag: Tag,
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
    /// A tag of the target that stays and stands for the same digest.
    #[serde(skip)]
    pub shared_with: Option<Tag>,
    /// The mirror that it belongs to.
    #[serde(skip)]
    pub mirror: Arc<str>,
    /// What kept it when it was last due.
    #[serde(skip)]
    pub kept_for: Option<KeptFor>,
}

/// Why a tag is no longer mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// The source no longer has it.
    Orphaned,
    /// The mirror no longer selects it.
    Unselected,
    /// It was pulled through, and nobody pulled it for long.
    Unpulled,
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
    /// It is due, and stays.
    Leave {
        /// Why.
        left: Leave,
    },
    /// It stays: so many at once look like a mistake.
    Refuse {
        /// How many.
        new: usize,
        /// Of how many.
        of: usize,
    },
}

/// Why a tag that is due stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Somebody else has moved it.
    Moved,
    /// The source leaves it out of its listing and has it.
    AtSource,
    /// A run found that the registry deletes only digests, and this tag needs the digest.
    NeededBy(Tag),
    /// A run found that the registry deletes nothing; why, if that is known.
    NoDeletion(String),
    /// Another run writes to the repository now, and may need its digest: it deletes the tag.
    AnotherRun,
    /// Another process writes by the same store now.
    AnotherProcess,
    /// The other workers of a cluster may need its digest, and nothing keeps them away.
    OtherWorkers,
    /// It cannot be asked for.
    Unreadable(String),
}

/// What pruning comes to at one target repository.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// The mirror's tags that are no longer mirrored, those mirrored last first.
    pub tags: Vec<Prunable>,
    /// Those of other mirrors that write there.
    #[serde(skip)]
    pub others: Vec<Prunable>,
    /// Tags of the target that were to be pruned and are mirrored again.
    #[serde(skip)]
    pub reprieved: Vec<Tag>,
}

/// A tag that is no longer mirrored, as the store knows it.
#[derive(Clone, Debug)]
struct Candidate {
    tag: Tag,
    target_tag: Tag,
    digest: Digest,
    cause: Cause,
    since: Option<i64>,
    mirrored_at: i64,
    mirror: Arc<str>,
    /// The `max_share` of its mirror, where that prunes: only then a check notes that it is no longer
    /// mirrored.
    max_share: Option<f64>,
    kept_for: Option<KeptFor>,
}

/// By what the tags of a target repository are judged: all of them together, whichever mirror they
/// belong to.
pub(crate) struct PrunePolicy<'a> {
    pub(crate) group: &'a RouteGroup<'a>,
    pub(crate) wanted: &'a Wanted,
    pub(crate) now: i64,
}

impl PrunePolicy<'_> {
    /// What pruning comes to at a target; nothing where the mirror does not prune.
    pub(crate) fn judge(&self, holds: &TargetHolds) -> Option<Pruned> {
        let mirror = self.group.mirror;
        self.group.rule?;
        let (mut candidates, mut reprieved, mut total) = (Vec::new(), Vec::new(), 0);
        let mut unlisted = Vec::new();
        for row in holds.rows(mirror) {
            let (record, source_tag) = (row.record, row.source_tag);
            // What is not there takes no place of `keep`, and counts for no share.
            if !holds.is_listed(&row)
                || row.is_referring()
                || self.group.is_apart(&row.target_tag, &record.mirror)
            {
                continue;
            }
            let (Some(_), Some(digest)) = (&record.source, &record.written) else {
                continue;
            };
            total += 1;
            let cause = self.cause(source_tag, &record.mirror);
            // One that the file names belongs to who names it, though the source has lost it.
            let heir = match source_tag.map(|tag| self.wanted.asked(tag)) {
                Some(Asked::By(mirror)) => self.group.heir(&mirror),
                _ => self.group.heir(&record.mirror),
            };
            let candidate = |cause| Candidate {
                tag: source_tag.unwrap_or(&row.target_tag).clone(),
                target_tag: row.target_tag.clone(),
                digest: digest.clone(),
                cause,
                since: record.prunable_since,
                mirrored_at: record.mirrored_at.unwrap_or_default(),
                mirror: heir.name.clone(),
                max_share: heir.prune.map(|rule| rule.max_share),
                kept_for: record.kept_for.clone(),
            };
            match cause {
                Some(cause) => candidates.push(candidate(cause)),
                None => {
                    if source_tag.is_some_and(|tag| self.wanted.unlisted.contains(tag)) {
                        unlisted.push(candidate(Cause::Orphaned));
                    }
                    // What is not known clears nothing that another route noted.
                    let is_mirrored = source_tag.is_some_and(|tag| self.wanted.is_mirrored(tag));
                    if record.prunable_since.is_some() && is_mirrored {
                        reprieved.push(row.target_tag);
                    }
                }
            }
        }
        let mut tags = decide(
            candidates,
            total,
            |mirror| self.group.prune(mirror),
            self.now,
        );
        share(&mut tags, holds, mirror);
        tags.iter_mut().for_each(Prunable::keep);
        tags.extend(self.left_at_source(unlisted));
        let (tags, others) = tags.into_iter().partition(|tag| tag.mirror == mirror.name);
        Some(Pruned {
            tags,
            others,
            reprieved,
        })
    }

    /// Tags that the source leaves out of its listing and has, where no route is known to ask for them.
    fn left_at_source(&self, unlisted: Vec<Candidate>) -> impl Iterator<Item = Prunable> {
        let is_asked = |tag: &Candidate| matches!(self.wanted.asked(&tag.tag), Asked::By(_));
        let unlisted = unlisted.into_iter().filter(move |tag| !is_asked(tag));
        unlisted.map(|tag| {
            let left = Leave::AtSource;
            tag.judged(self.now, Decision::Leave { left })
        })
    }

    /// Why a tag is no longer mirrored; nothing where it is, or perhaps is.
    fn cause(&self, tag: Option<&Tag>, keeper: &str) -> Option<Cause> {
        let Some(tag) = tag else {
            return Some(Cause::Unselected);
        };
        match self.wanted.asked(tag) {
            Asked::Perhaps => None,
            // Whether the source still has it is no matter.
            Asked::ByNobody if *keeper == *ON_DEMAND => Some(Cause::Unpulled),
            // Another run's route may be the one that asks: the source says that it has none.
            _ if self.wanted.is_gone(tag) == Some(true) => Some(Cause::Orphaned),
            Asked::By(_) => None,
            Asked::ByNobody => Some(Cause::Unselected),
        }
    }
}

/// What becomes of each candidate of a repository of `total` tags. Those of mirrors without a rule
/// stay, and are left out.
fn decide(
    mut candidates: Vec<Candidate>,
    total: usize,
    rule: impl Fn(&str) -> Option<Prune>,
    now: i64,
) -> Vec<Prunable> {
    candidates.sort_by(|a, b| (b.mirrored_at, &a.tag).cmp(&(a.mirrored_at, &b.tag)));
    let is_new = |candidate: &&Candidate| candidate.since.is_none();
    let shares = candidates.iter().filter(is_new);
    let shares: Vec<f64> = shares.filter_map(|candidate| candidate.max_share).collect();
    let new = shares.len();
    // What one mirror noted would no longer count against another one at the next check.
    let lowest = shares.into_iter().fold(f64::INFINITY, f64::min);
    let are_too_many = new > FEW && new as f64 > lowest * total as f64;
    let decided = candidates.into_iter().enumerate();
    let decided = decided.filter_map(|(place, candidate)| {
        let rule = rule(&candidate.mirror)?;
        let is_refused = are_too_many && rule.max_share.is_finite();
        let after = i64::try_from(rule.after.as_secs()).unwrap_or(i64::MAX);
        // What a clock that was ahead noted counts from now on.
        let noted = candidate.since.map(|since| since.min(now));
        let until = noted.unwrap_or(now).saturating_add(after);
        let fate = match noted {
            None if is_refused => Decision::Refuse { new, of: total },
            _ if place < rule.keep => Decision::Keep,
            // A first check never deletes, however short the wait is.
            Some(since) if since < now && until <= now => Decision::Delete,
            _ => Decision::Wait { until },
        };
        Some(candidate.judged(now, fate))
    });
    decided.collect()
}

impl Candidate {
    fn judged(self, now: i64, fate: Decision) -> Prunable {
        let kept_for = self.kept_for;
        Prunable {
            tag: self.tag,
            target_tag: self.target_tag,
            digest: self.digest,
            cause: self.cause,
            since: self.since.unwrap_or(now).min(now),
            is_new: self.since.is_none_or(|since| since > now),
            fate,
            shared_with: None,
            mirror: self.mirror,
            kept_for,
        }
    }
}

/// Notes which of the tags to be deleted share their digest with one that stays.
fn share(tags: &mut [Prunable], holds: &TargetHolds, mirror: &crate::config::Mirror) {
    let going = tags.iter().filter(|tag| tag.fate == Decision::Delete);
    let going: HashSet<Tag> = going.map(|tag| tag.target_tag.clone()).collect();
    let staying = holds
        .rows(mirror)
        .filter(|row| !going.contains(&row.target_tag) && holds.is_listed(row));
    let staying = staying.filter_map(|row| Some((row.record.written.clone()?, row.target_tag)));
    let staying: HashMap<Digest, Tag> = staying.collect();
    for tag in tags
        .iter_mut()
        .filter(|tag| going.contains(&tag.target_tag))
    {
        tag.shared_with = staying.get(&tag.digest).cloned();
    }
    release_together(tags);
}

/// Forgets what kept a tag that is due where that goes now, too. What is itself kept does not go.
fn release_together(tags: &mut [Prunable]) {
    let due = tags.iter().filter(|tag| tag.fate == Decision::Delete);
    let mut going: HashSet<Tag> = due.map(|tag| tag.target_tag.clone()).collect();
    loop {
        let count = going.len();
        for tag in tags.iter() {
            let is_kept = tag
                .kept_for
                .as_ref()
                .is_some_and(|kept_for| match kept_for {
                    KeptFor::Tag(other) => !going.contains(other),
                    KeptFor::NoDeletion => true,
                });
            if is_kept {
                going.remove(&tag.target_tag);
            }
        }
        if going.len() == count {
            break;
        }
    }
    let going = tags
        .iter_mut()
        .filter(|tag| going.contains(&tag.target_tag));
    going.for_each(|tag| tag.kept_for = None);
}

/// Whether a tag is that of a signature or the like: it goes with no selection, and stays.
pub(crate) fn is_referring(tag: &Tag) -> bool {
    let hex = tag.as_str().strip_prefix("sha256-");
    let hex = hex.map(|rest| rest.split('.').next().unwrap_or_default());
    hex.is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

impl Prunable {
    /// Whether the store has to learn since when it is no longer mirrored.
    pub fn is_news(&self) -> bool {
        let stays = matches!(self.fate, Decision::Refuse { .. } | Decision::Leave { .. });
        self.is_new && !stays
    }

    /// Whether a run tries to delete it: what kept it when it was last due may be over.
    pub(crate) fn is_due(&self) -> bool {
        match &self.fate {
            Decision::Delete => true,
            Decision::Leave { left } => matches!(left, Leave::NeededBy(_) | Leave::NoDeletion(_)),
            _ => false,
        }
    }

    /// Leaves what a run could not delete.
    fn keep(&mut self) {
        if self.fate == Decision::Delete
            && let Some(kept_for) = &self.kept_for
        {
            let left = match kept_for {
                KeptFor::Tag(tag) => Leave::NeededBy(tag.clone()),
                KeptFor::NoDeletion => Leave::NoDeletion(NO_DELETION.into()),
            };
            self.fate = Decision::Leave { left };
        }
    }
}

impl fmt::Display for Leave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Moved => f.write_str("somebody else has moved it since it was mirrored"),
            Self::AtSource => {
                f.write_str("the source has it, and leaves it out of its list of tags")
            }
            Self::NeededBy(tag) => write!(
                f,
                "the tag {tag} needs its digest, and this registry deletes no tag without its digest"
            ),
            Self::AnotherRun => {
                f.write_str("another run writes to the repository now, and deletes it when it ends")
            }
            Self::AnotherProcess => f.write_str(
                "another transship writes by the same store now, and may need its digest; prune \
                 again when its run is over",
            ),
            Self::OtherWorkers => f.write_str(
                "this registry deletes no tag without its digest, and another worker of [cluster] may \
                 need it; prune it by the registry's own rules",
            ),
            Self::NoDeletion(text) | Self::Unreadable(text) => f.write_str(text),
        }
    }
}

impl Serialize for Leave {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Orphaned => "no longer at the source",
            Self::Unselected => "no longer selected",
            Self::Unpulled => "nobody pulled it for long",
        })
    }
}

#[cfg(test)]
mod tests;
