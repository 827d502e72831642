//! Which images are pulled from a registry that gives out few pulls: those awaited longest, and no
//! more at a time than what is left is sure to cover, so that none is left half pulled.

use std::collections::{BTreeMap, HashMap, HashSet};

use tokio::sync::oneshot;

use crate::oci::Digest;

/// Manifests that an image is taken to need for as long as its index is not known.
const UNKNOWN: u64 = 10;

/// The images of one registry. `T` is what an image that begins is told.
#[derive(Debug)]
pub(crate) struct ImageAdmission<T> {
    begun: HashMap<Digest, Begun>,
    /// By the time that they are awaited since, and in the order in which they came.
    waiting: BTreeMap<(i64, u64), Waiting<T>>,
    came: u64,
}

/// An image that waits to begin.
#[derive(Debug)]
pub(crate) struct Waiting<T> {
    pub(crate) image: Digest,
    pub(crate) begin: oneshot::Sender<T>,
}

#[derive(Debug, Default)]
struct Begun {
    /// How many copy it.
    copies: usize,
    /// What is still to be pulled of it, once that is known.
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
    /// Takes note of one more image, which is awaited since `since`, in seconds since 1970.
    pub(crate) fn wait(&mut self, image: Digest, since: i64, begin: oneshot::Sender<T>) {
        self.came += 1;
        let waiting = Waiting { image, begin };
        self.waiting.insert((since, self.came), waiting);
    }

    /// Those that may begin while `left` pulls are left; a registry that tells nothing has enough,
    /// and one without any tells whoever asks.
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

    /// Who copies an image that another copies needs no pulls of its own.
    fn next(&mut self, left: Option<u64>) -> Option<Waiting<T>> {
        let is_covered = self.is_one_more_covered(left);
        let may = |waiting: &Waiting<T>| is_covered || self.begun.contains_key(&waiting.image);
        let (rank, _) = self.waiting.iter().find(|(_, waiting)| may(waiting))?;
        let rank = *rank;
        self.waiting.remove(&rank)
    }

    fn is_one_more_covered(&self, left: Option<u64>) -> bool {
        let Some(left) = left.filter(|left| *left > 0) else {
            return true;
        };
        let needs = |begun: &Begun| match &begun.needs {
            Some(needs) => needs.len() as u64,
            None => UNKNOWN,
        };
        let needed: u64 = self.begun.values().map(needs).sum();
        needed == 0 || needed + UNKNOWN <= left
    }

    /// Takes note of what is still to be pulled of an image.
    pub(crate) fn needs<'a>(&mut self, image: &Digest, parts: impl Iterator<Item = &'a Digest>) {
        if let Some(begun) = self.begun.get_mut(image) {
            let needs = begun.needs.get_or_insert_default();
            needs.extend(parts.cloned());
        }
    }

    /// A part of an image need not be pulled any more.
    pub(crate) fn has(&mut self, image: &Digest, part: &Digest) {
        if let Some(needs) = self.begun.get_mut(image).and_then(|b| b.needs.as_mut()) {
            needs.remove(part);
        }
    }

    /// One copy of an image ended.
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
