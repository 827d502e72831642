//! Walks an index: lists every manifest below it.

use std::collections::VecDeque;

use crate::oci::{Content, Descriptor, Digest, Manifest};

/// Maximum nesting of indexes. Real ones nest once or twice.
pub(crate) const MAX_DEPTH: usize = 8;

/// Why an index could not be walked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum WalkError<E> {
    /// A manifest could not be pulled.
    Pull(E),
    /// An index exceeds a limit.
    Limit {
        /// The index.
        index: Digest,
        /// The limit, in words.
        reason: String,
    },
}

/// Lists every manifest that an index leads to, the index itself excluded. An image leads to none.
/// `pull` returns `None` for a manifest to skip.
pub(crate) async fn manifests_below<E, F>(
    root: &Digest,
    max_manifests: usize,
    mut pull: impl FnMut(Digest) -> F,
) -> Result<Vec<Digest>, WalkError<E>>
where
    F: Future<Output = Result<Option<Manifest>, E>>,
{
    let limit = |index: Digest, reason: String| Err(WalkError::Limit { index, reason });
    let mut below = Vec::new();
    let mut indexes = VecDeque::from([(root.clone(), 0)]);
    while let Some((digest, depth)) = indexes.pop_front() {
        if depth > MAX_DEPTH {
            let reason = format!("its indexes nest more than {MAX_DEPTH} deep");
            return limit(digest, reason);
        }
        let pulled = pull(digest.clone()).await.map_err(WalkError::Pull)?;
        let content = pulled.map(|manifest| manifest.content());
        let Some(Ok(Content::Index(children))) = content else {
            continue;
        };
        // Entries of a build cache's index are layers.
        for child in children.into_iter().filter(Descriptor::is_manifest) {
            if child.may_be_index() {
                indexes.push_back((child.digest.clone(), depth + 1));
            }
            below.push(child.digest);
        }
        if below.len() > max_manifests {
            let reason = format!("its indexes name more than {max_manifests} manifests");
            return limit(digest, reason);
        }
    }
    Ok(below)
}

#[cfg(test)]
mod tests;
