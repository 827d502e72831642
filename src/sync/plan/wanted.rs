//! What a target repository is to hold: one answer for each tag, over all routes that write there.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::{config::Route, oci::Tag, sync::plan::select};

/// What all routes of a group ask for, and what the source said of its tags. There is none where the
/// source gave no evidence: it failed, listed nothing, or has no such repository.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// The mirror that asks for a tag, by the tag's name at the source.
    pub asked: HashMap<Tag, Arc<str>>,
    /// Routes whose selection is not known now: what they take by name may be asked for.
    pub open: Vec<Route>,
    /// Every tag that the source lists, where it was listed.
    pub listing: Option<Arc<HashSet<Tag>>>,
    /// Tags that the source, asked for them, has.
    pub found: HashSet<Tag>,
    /// Tags that the source, asked for them, does not have.
    pub absent: HashSet<Tag>,
    /// Tags that the source leaves out of its listing and has, for all that is known.
    pub unlisted: HashSet<Tag>,
}

/// Who asks for a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// This mirror.
    By(Arc<str>),
    /// Perhaps somebody: nothing is decided now.
    Perhaps,
    /// No route.
    ByNobody,
}

impl Wanted {
    /// Who asks for a tag, by its name at the source.
    pub(crate) fn asked(&self, tag: &Tag) -> Asked {
        if let Some(mirror) = self.asked.get(tag) {
            return Asked::By(mirror.clone());
        }
        let mut open = self.open.iter();
        match self.unlisted.contains(tag) || open.any(|route| select::allows(route, tag)) {
            true => Asked::Perhaps,
            false => Asked::ByNobody,
        }
    }

    /// Whether a route asks for a tag that the source has: it lists it, or was asked for it.
    pub(crate) fn is_mirrored(&self, tag: &Tag) -> bool {
        let listing = self.listing.as_ref();
        let is_listed = listing.is_some_and(|listing| listing.contains(tag));
        self.asked.contains_key(tag) && (is_listed || self.found.contains(tag))
    }

    /// Whether the source no longer has a tag; `None` where it was neither listed nor asked.
    pub(crate) fn is_gone(&self, tag: &Tag) -> Option<bool> {
        if self.absent.contains(tag) {
            return Some(true);
        }
        if self.found.contains(tag) {
            return Some(false);
        }
        let listing = self.listing.as_ref()?;
        Some(!listing.contains(tag) && !self.unlisted.contains(tag))
    }
}
