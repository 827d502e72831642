//! Which tags stop lagging, because no route asks for them any more or the source no longer has them.

use super::Context;
use crate::{
    oci::{Repository, Tag},
    store::Release,
    sync::{
        plan::wanted::Asked,
        snapshot::{Row, TargetHolds},
    },
};

impl Context<'_> {
    /// The tags whose lag ends, or that belong to another mirror from now on.
    pub(super) fn released(&self, repository: &Repository, holds: &TargetHolds) -> Vec<Release> {
        let Some(wanted) = self.wanted else {
            return Vec::new();
        };
        let ends = holds.rows(self.mirror).filter_map(|row| {
            let record = row.record;
            let (heir, is_asked_for, is_gone) =
                match row.source_tag.map(|tag| (tag, wanted.asked(tag))) {
                    _ if self.is_left_alone(&row) => return None,
                    Some((_, Asked::Perhaps)) => return None,
                    Some((tag, Asked::By(mirror))) if !wanted.absent.contains(tag) => {
                        // The mirror that runs sees to its own when it looks at them.
                        if mirror == self.mirror.name || *mirror == *record.mirror {
                            return None;
                        }
                        (mirror, true, false)
                    }
                    Some((_, Asked::By(mirror))) => (mirror, true, true),
                    Some((tag, Asked::ByNobody)) => {
                        let heir = self.group.heir(&record.mirror).name.clone();
                        (heir, false, self.is_gone(tag, record))
                    }
                    None => (self.group.heir(&record.mirror).name.clone(), false, true),
                };
            let is_news = record.lagging_since.is_some()
                || record.is_orphaned != is_gone
                || record.is_released == is_asked_for
                || record.mirror != *heir
                || record.source.is_none();
            is_news.then(|| Release {
                repository: repository.clone(),
                tag: row.target_tag,
                mirror: heir,
                is_orphaned: is_gone,
                is_asked_for,
            })
        });
        ends.collect()
    }

    /// Tags that no route asks for and the target does not list.
    pub(super) fn unlisted(&self, holds: &TargetHolds) -> Vec<Tag> {
        let Some(wanted) = self.wanted else {
            return Vec::new();
        };
        let rows = holds.rows(self.mirror).filter(|row| {
            let asked = row.source_tag.map(|tag| (tag, wanted.asked(tag)));
            let is_over = match asked {
                None | Some((_, Asked::ByNobody)) => true,
                Some((tag, Asked::By(_))) => wanted.absent.contains(tag),
                Some((_, Asked::Perhaps)) => false,
            };
            is_over && !self.is_left_alone(row) && !holds.is_listed(row)
        });
        rows.map(|row| row.target_tag).collect()
    }

    /// Whether a tag is seen to by others: with its image, or by a mirror that names tags otherwise.
    fn is_left_alone(&self, row: &Row<'_>) -> bool {
        let keeper = &row.record.mirror;
        row.is_referring() || self.group.is_apart(&row.target_tag, keeper)
    }
}
