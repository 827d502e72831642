use std::path::Path;

use tokio_util::sync::CancellationToken;

use crate::{
    oci::Digest,
    status::clusters::*,
    store::{TagKey, Verdict},
};

const ENTRY: &str = "[[mirror]]\nfrom = \"quay.io/a/b:1\"\ntarget = \"t.example/m\"\n";
const OTHER_ENTRY: &str = "[[mirror]]\nfrom = \"quay.io/a/other:1\"\ntarget = \"t.example/m\"\n";

/// A store, and a cache in front of it.
struct ClusterBench {
    _folder: tempfile::TempDir,
    store: Store,
    writer: Arc<StoreWriter>,
    cache: ClusterCache,
}

fn config(text: &str) -> Config {
    Config::parse(Path::new("mirror.toml"), text).unwrap()
}

fn cache(store: &Store, writer: &Arc<StoreWriter>) -> ClusterCache {
    let metrics = Arc::new(Metrics::new().unwrap());
    ClusterCache::new(store.clone(), writer.clone(), metrics)
}

impl ClusterBench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        let (store, writer) = Store::open(&path, CancellationToken::new()).await.unwrap();
        let writer = Arc::new(writer);
        Self {
            _folder: folder,
            cache: cache(&store, &writer),
            store,
            writer,
        }
    }

    async fn receive(&self, cluster: &str, list: &str) -> Result<Arc<ClusterStatus>, ClusterError> {
        let record = ClusterRecord {
            name: cluster.into(),
            received_at: 2000,
        };
        let inventory = crate::inventory::read(list.as_bytes()).unwrap();
        self.cache
            .receive(&config(OTHER_ENTRY), record, inventory)
            .await
    }

    /// The images in the store, and since when they are missing.
    async fn stored(&self, cluster: &str) -> Vec<(String, Option<i64>)> {
        let images = self.store.cluster_images(cluster).await.unwrap();
        let images = images.into_iter();
        images
            .map(|image| (image.image, image.missing_since))
            .collect()
    }

    /// An image was first found missing at this time.
    async fn missing_since(&self, image: &str, since: i64) {
        self.cache.note(ClusterChange::Missing {
            cluster: "prod".into(),
            image: image.into(),
            since: Some(since),
        });
        self.writer.flush().await;
    }
}

#[tokio::test]
async fn missing_image_keeps_its_time_in_new_lists_and_processes() {
    let mut kept = ClusterBench::new().await;
    kept.receive("prod", "quay.io/a/b:1\nquay.io/a/c:1\n")
        .await
        .unwrap();
    kept.missing_since("quay.io/a/b:1", 1000).await;
    kept.cache = cache(&kept.store, &kept.writer);
    kept.cache.judge(&config(OTHER_ENTRY)).await.unwrap();
    let status = kept.receive("prod", "quay.io/a/b:1\n").await.unwrap();
    assert_eq!(status.not_current[0].missing_since, Some(1000));
    let stored = kept.stored("prod").await;
    assert_eq!(stored, [("quay.io/a/b:1".to_owned(), Some(1000))]);
}

#[tokio::test]
async fn image_is_current_once_it_is_mirrored() {
    let kept = ClusterBench::new().await;
    let before = kept.receive("prod", "quay.io/a/b:1\n").await.unwrap();
    assert_eq!(before.count(ImageState::NotMirrored), 1);
    let digest = Digest::of(b"image");
    let key = TagKey {
        mirror: "a/b".into(),
        source: "quay.io/a/b".parse().unwrap(),
        target: "t.example/m/quay.io/a/b".parse().unwrap(),
        tag: "1".parse().unwrap(),
        source_tag: None,
    };
    let config = config(ENTRY);
    let key = TagKey {
        mirror: config.mirrors[0].name.clone(),
        target: config.mirrors[0].routes[0].targets[0].clone(),
        ..key
    };
    kept.writer.note(StoreEvent::Seen {
        key: key.clone(),
        seen: digest.clone(),
        verdict: Verdict::Differs,
        at: 1000,
    });
    kept.writer.note(StoreEvent::Mirrored {
        key,
        source: digest.clone(),
        written: digest,
        shape: String::new(),
        at: 1000,
        is_new: true,
    });
    kept.cache.judge(&config).await.unwrap();
    let after = kept.cache.get("prod").unwrap();
    assert_eq!(after.count(ImageState::Current), 1, "{after:?}");
    kept.writer.flush().await;
    assert_eq!(
        kept.stored("prod").await,
        [("quay.io/a/b:1".to_owned(), None)]
    );
}

#[tokio::test]
async fn forgets_cluster() {
    let kept = ClusterBench::new().await;
    kept.receive("prod", "quay.io/a/b:1\n").await.unwrap();
    assert!(kept.cache.forget("prod").await);
    assert!(!kept.cache.forget("prod").await);
    assert_eq!(kept.stored("prod").await, []);
    assert_eq!(kept.store.clusters().await.unwrap(), []);
}

#[tokio::test]
async fn refuses_more_clusters_than_it_keeps() {
    let kept = ClusterBench::new().await;
    for number in 0..MAX_CLUSTERS {
        let name = format!("c{number}");
        kept.receive(&name, "quay.io/a/b:1\n").await.unwrap();
    }
    let refused = kept.receive("more", "quay.io/a/b:1\n").await.unwrap_err();
    assert!(refused.to_string().contains("more than 50 clusters"));
    assert!(kept.cache.get("more").is_none());
    kept.receive("c1", "quay.io/a/c:1\n").await.unwrap();
}

#[test]
fn comparison_is_due_after_a_change_and_a_rest() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let kept = runtime.block_on(ClusterBench::new());
    assert!(!kept.cache.begin());
    kept.cache.outdate();
    assert!(kept.cache.begin());
    kept.cache.outdate();
    assert!(!kept.cache.begin(), "two at a time");
    runtime.block_on(kept.cache.judge(&config(ENTRY))).unwrap();
    kept.cache.pace.lock().last = Some((Instant::now(), Duration::from_secs(3600)));
    assert!(!kept.cache.begin(), "no rest after a long one");
    kept.cache.pace.lock().last = None;
    assert!(kept.cache.begin());
}
