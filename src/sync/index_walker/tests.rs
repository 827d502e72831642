use std::collections::HashMap;

use serde_json::json;

use crate::{oci::IMAGE_INDEX_MEDIA_TYPE, sync::index_walker::*};

/// The manifests of a repository.
#[derive(Default)]
struct Repository(HashMap<Digest, Manifest>);

impl Repository {
    /// Adds an index of these manifests, each named with the type of an index.
    fn index(&mut self, children: &[&Digest]) -> Digest {
        let entries = children.iter().map(|digest| {
            json!({"mediaType": IMAGE_INDEX_MEDIA_TYPE, "digest": digest.as_str(), "size": 1})
        });
        let body = json!({
            "schemaVersion": 2,
            "mediaType": IMAGE_INDEX_MEDIA_TYPE,
            "manifests": entries.collect::<Vec<_>>(),
        });
        let manifest = Manifest::new(body.to_string().into(), None).unwrap();
        let digest = manifest.digest.clone();
        self.0.insert(digest.clone(), manifest);
        digest
    }

    async fn below(&self, root: &Digest, max: usize) -> Result<Vec<Digest>, WalkError<()>> {
        manifests_below(root, max, |digest| async move {
            Ok(self.0.get(&digest).cloned())
        })
        .await
    }
}

#[tokio::test]
async fn lists_nested_manifests_and_skips_missing_ones() {
    let mut repository = Repository::default();
    let missing = Digest::of(b"missing");
    let inner = repository.index(&[&missing]);
    let root = repository.index(&[&inner]);
    let below = repository.below(&root, 10).await;
    assert_eq!(below, Ok(vec![inner, missing]));
}

#[tokio::test]
async fn refuses_indexes_that_nest_too_deep() {
    let mut repository = Repository::default();
    let mut root = repository.index(&[]);
    for _ in 0..MAX_DEPTH {
        root = repository.index(&[&root]);
    }
    assert_eq!(repository.below(&root, 10).await.unwrap().len(), MAX_DEPTH);
    let deeper = repository.index(&[&root]);
    let refused = repository.below(&deeper, 10).await;
    assert!(matches!(refused, Err(WalkError::Limit { reason, .. }) if reason.contains("8 deep")));
}

#[tokio::test]
async fn refuses_indexes_of_too_many_manifests() {
    let mut repository = Repository::default();
    let children = [Digest::of(b"a"), Digest::of(b"b")];
    let root = repository.index(&[&children[0], &children[1]]);
    assert!(repository.below(&root, 2).await.is_ok());
    let refused = repository.below(&root, 1).await;
    assert!(matches!(refused, Err(WalkError::Limit { index, .. }) if index == root));
}
