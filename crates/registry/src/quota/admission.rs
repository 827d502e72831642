//! Admission of images while pulls are few: those awaited longest first, and no more at a time than
//! the quota certainly covers, so that none is left half pulled.

use std::collections::{BTreeMap, HashMap, HashSet};

use tokio::sync::oneshot;

use crate::oci::Digest;

/// Manifests that an image is assumed to need until its index is known.
const UNKNOWN: u64 = 10;

/// The images of one registry. `T` is sent to an image that is admitted.
#[derive(Debug)]
pub(crate) struct ImageAdmission<T> {
    begun: HashMap<Digest, Begun>,
    /// By the time since which they are awaited, then in order of arrival.
    waiting: BTreeMap<(i64, u64), Waiting<T>>,
    came: u64,
}

/// An image that waits for admission.
#[derive(Debug)]
pub(crate) struct Waiting<T> {
    pub(crate) image: Digest,
    pub(crate) begin: oneshot::Sender<T>,
}

#[derive(Debug, Default)]
struct Begun {
    /// How many copies of it run.
    copies: usize,
    /// Its manifests that still have to be pulled, once they are known.
    needs: Option<HashSet<Digest>>,
}

impl<T> Default for ImageAdmission<T> {
    fn default() -> Self {
        Self {
            begun: HashMap::new(),
            waiting: BTreeMap::new(),
            came: 0,
        }
    }
}

impl<T> ImageAdmission<T> {
    /// Queues an image. It is awaited since `since`, in seconds since 1970.
    pub(crate) fn wait(&mut self, image: Digest, since: i64, begin: oneshot::Sender<T>) {
        self.came += 1;
        let waiting = Waiting { image, begin };
        self.waiting.insert((since, self.came), waiting);
    }

    /// Admits images while `left` pulls are left. `None` admits all.
    pub(crate) fn begin(&mut self, left: Option<u64>) -> Vec<Waiting<T>> {
        let mut beginning = Vec::new();
        while let Some(waiting) = self.next(left) {
            if !waiting.begin.is_closed() {
                self.begun.entry(waiting.image.clone()).or_default().copies += 1;
                beginning.push(waiting);
            }
        }
        beginning
    }

    /// A second copy of an admitted image needs no pulls of its own.
    fn next(&mut self, left: Option<u64>) -> Option<Waiting<T>> {
        let is_covered = self.is_one_more_covered(left);
        let may = |waiting: &Waiting<T>| is_covered || self.begun.contains_key(&waiting.image);
        let (rank, _) = self.waiting.iter().find(|(_, waiting)| may(waiting))?;
        let rank = *rank;
        self.waiting.remove(&rank)
    }

    fn is_one_more_covered(&self, left: Option<u64>) -> bool {
        let Some(left) = left else {
            return true;
        };
        let needed = self.needed();
        left > 0 && (needed == 0 || needed + UNKNOWN <= left)
    }

    /// Manifests that the images that were admitted still need.
    fn needed(&self) -> u64 {
        let needs = |begun: &Begun| match &begun.needs {
            Some(needs) => needs.len() as u64,
            None => UNKNOWN,
        };
        self.begun.values().map(needs).sum()
    }

    /// How many pulls are lacking for one image more, if one waits.
    pub(crate) fn lacking(&self, left: u64) -> Option<u64> {
        let is_waiting = self
            .waiting
            .values()
            .any(|waiting| !waiting.begin.is_closed());
        let lacking = (self.needed() + UNKNOWN).saturating_sub(left);
        (is_waiting && lacking > 0).then_some(lacking)
    }

    /// Whether no image was admitted or waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.begun.is_empty()
            && self
                .waiting
                .values()
                .all(|waiting| waiting.begin.is_closed())
    }

    /// Records manifests of an image that still have to be pulled.
    pub(crate) fn needs<'a>(&mut self, image: &Digest, parts: impl Iterator<Item = &'a Digest>) {
        if let Some(begun) = self.begun.get_mut(image) {
            let needs = begun.needs.get_or_insert_default();
            needs.extend(parts.cloned());
        }
    }

    /// Records that a manifest of an image needs no pull any more.
    pub(crate) fn has(&mut self, image: &Digest, part: &Digest) {
        if let Some(needs) = self.begun.get_mut(image).and_then(|b| b.needs.as_mut()) {
            needs.remove(part);
        }
    }

    /// Records the end of one copy of an image.
    pub(crate) fn end(&mut self, image: &Digest) {
        if let Some(begun) = self.begun.get_mut(image) {
            begun.copies -= 1;
            if begun.copies == 0 {
                self.begun.remove(image);
            }
        }
    }
}

#[cfg(test)]
mod tests;
