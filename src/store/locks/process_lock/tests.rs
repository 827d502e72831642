use crate::store::locks::process_lock::*;

fn two() -> (tempfile::TempDir, [Presence; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let presence = || Presence {
        store: folder.path().join("state.db"),
        state: Mutex::default(),
    };
    let both = [presence(), presence()];
    (folder, both)
}

#[tokio::test]
async fn one_writer_owns_uploads() {
    let (_folder, [one, other]) = two();
    one.enter().await;
    other.enter().await;
    assert!(one.keeps_uploads() && !other.keeps_uploads());
    one.leave();
    assert!(other.keeps_uploads());
    one.enter().await;
    assert!(!one.keeps_uploads());
}

#[tokio::test]
async fn exclusive_lock_bars_writers() {
    let (_folder, [one, other]) = two();
    one.enter().await;
    assert!(other.exclusive().is_none());
    other.enter().await;
    assert!(one.exclusive().is_none() && other.exclusive().is_none());
    other.leave();
    let exclusive = one.exclusive().unwrap();
    assert!(one.exclusive().is_some());
    assert!(!other.try_enter() && other.exclusive().is_none());
    drop(exclusive);
    // It writes still.
    assert!(other.try_enter() && other.exclusive().is_none());
    other.leave();
    one.leave();
    assert!(other.exclusive().is_some());
}
