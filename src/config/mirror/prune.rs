//! Validates what becomes of a target over time: `prune`, `backup_tag` and `verify_blobs_every`.

#[cfg(test)]
mod tests;

use std::time::Duration;

use toml::Spanned;

use crate::config::{
    Rename,
    parse::{diagnostics::Problems, table_reader::TableReader},
};

const AFTER: Duration = Duration::from_secs(7 * 24 * 3600);
const MOST: f64 = 0.5;
const VERIFY_EVERY: Duration = Duration::from_secs(30 * 24 * 3600);
const PRUNE_HELP: &str =
    "write prune = { after = \"7d\" }, with `keep = 5` for the newest five; or \"off\"";
const VERIFY_HELP: &str = "write how often each tag is verified, such as \"30d\"; or \"off\"";

/// Which tags that are no longer mirrored are deleted at the target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prune {
    /// How many stay, those mirrored last.
    pub keep: usize,
    /// How long each stays.
    pub after: Duration,
    /// The part of a repository's tags that may become prunable at once.
    pub max_share: f64,
}

/// The keys as written.
#[derive(Clone, Debug, Default)]
pub(crate) struct UpkeepEntry {
    prune: Option<PruneEntry>,
    backup_tag: Option<Spanned<String>>,
    verify_blobs_every: Option<Spanned<String>>,
}

/// The value of `prune`.
#[derive(Clone, Debug)]
enum PruneEntry {
    Word(Spanned<String>),
    Keys {
        keep: Option<Spanned<i64>>,
        after: Option<Spanned<String>>,
        max_share: Option<Spanned<f64>>,
    },
}

/// The keys, validated.
pub(crate) struct TargetUpkeep {
    pub(crate) prune: Option<Prune>,
    pub(crate) backup: Option<Rename>,
    pub(crate) verify_blobs_every: Option<Duration>,
}

impl UpkeepEntry {
    /// Takes the keys out of a `[[mirror]]`, or of `[defaults]`.
    pub(crate) fn read(section: &mut TableReader<'_, '_>) -> Self {
        let prune = match section.string_or_section("prune", PRUNE_HELP) {
            None => None,
            Some(Err(word)) => Some(PruneEntry::Word(word)),
            Some(Ok(mut table)) => {
                let entry = PruneEntry::Keys {
                    keep: table.take("keep", "a whole number such as 5"),
                    after: table.take("after", "a duration such as \"7d\""),
                    max_share: table.take("max_share", "a number such as 0.5"),
                };
                table.finish();
                Some(entry)
            }
        };
        Self {
            prune,
            backup_tag: section.take("backup_tag", "a template such as \"{tag}.prev\""),
            verify_blobs_every: section.take("verify_blobs_every", "a duration such as \"30d\""),
        }
    }

    /// The entry with the defaults filled in where it says nothing.
    pub(crate) fn or(self, defaults: Self) -> Self {
        Self {
            prune: self.prune.or(defaults.prune),
            backup_tag: self.backup_tag.or(defaults.backup_tag),
            verify_blobs_every: self.verify_blobs_every.or(defaults.verify_blobs_every),
        }
    }
}

/// Validates the keys of an entry that has the defaults filled in.
pub(crate) fn validate(entry: &UpkeepEntry, problems: &mut Problems) -> TargetUpkeep {
    TargetUpkeep {
        prune: entry
            .prune
            .as_ref()
            .and_then(|entry| prune(entry, problems)),
        backup: entry
            .backup_tag
            .as_ref()
            .and_then(|text| backup(text, problems)),
        verify_blobs_every: match &entry.verify_blobs_every {
            None => Some(VERIFY_EVERY),
            Some(text) if text.get_ref() == "off" => None,
            Some(text) => duration(text, VERIFY_HELP, problems),
        },
    }
}

/// How what was pulled through leaves once nobody pulls it: as `[defaults]` prunes, also where that
/// says nothing, unless it is switched off. How many stay is no matter.
pub(crate) fn of_pulled(entry: &UpkeepEntry, problems: &mut Problems) -> Option<Prune> {
    let usual = Prune {
        keep: 0,
        after: AFTER,
        max_share: MOST,
    };
    match &entry.prune {
        None => Some(usual),
        Some(entry) => prune(entry, problems).map(|rule| Prune { keep: 0, ..rule }),
    }
}

fn prune(entry: &PruneEntry, problems: &mut Problems) -> Option<Prune> {
    let (keep, after, max_share) = match entry {
        PruneEntry::Word(word) => {
            if word.get_ref() != "off" {
                let message = format!("unknown `prune = \"{}\"`", word.get_ref());
                problems.error(word.span(), message, PRUNE_HELP);
            }
            return None;
        }
        PruneEntry::Keys {
            keep,
            after,
            max_share,
        } => (keep, after, max_share),
    };
    let keep = keep.as_ref().map_or(0, |keep| {
        usize::try_from(*keep.get_ref()).unwrap_or_else(|_| {
            let message = format!("a `keep` of {} is no number of tags", keep.get_ref());
            problems.error(keep.span(), message, "write how many stay, such as 5");
            0
        })
    });
    let max_share = max_share.as_ref().map_or(MOST, |share| {
        let is_share = (0.0..=1.0).contains(share.get_ref());
        if !is_share {
            let message = format!(
                "a `max_share` of {} is no part of all tags",
                share.get_ref()
            );
            let help = "write the part of a repository's tags that may go at once, from 0 to 1";
            problems.error(share.span(), message, help);
        }
        if is_share { *share.get_ref() } else { MOST }
    });
    let after = match after {
        None => AFTER,
        Some(text) => duration(text, PRUNE_HELP, problems)?,
    };
    Some(Prune {
        keep,
        after,
        max_share,
    })
}

fn duration(written: &Spanned<String>, help: &str, problems: &mut Problems) -> Option<Duration> {
    match humantime::parse_duration(written.get_ref()) {
        Ok(duration) if !duration.is_zero() => Some(duration),
        _ => {
            let message = format!("`{}` is not a duration", written.get_ref());
            problems.error(written.span(), message, help);
            None
        }
    }
}

fn backup(written: &Spanned<String>, problems: &mut Problems) -> Option<Rename> {
    let help = "write what the tag before is called at the target, such as \"{tag}.prev\"";
    let reason = match Rename::parse(written.get_ref()) {
        Err(reason) => reason,
        Ok(backup) if backup == Rename::default() => "that is what the tag itself is called".into(),
        Ok(backup) => return Some(backup),
    };
    let message = format!("bad `backup_tag`: {reason}");
    problems.error(written.span(), message, help);
    None
}
