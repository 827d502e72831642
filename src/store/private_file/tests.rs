use std::os::unix::fs::chown;

use tokio_util::sync::CancellationToken;

use crate::store::{Store, private_file::*};

/// A user of no program on this machine.
const SERVICE: u32 = 54_321;

#[tokio::test]
async fn files_of_root_belong_to_the_owner_of_the_folder() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    chown(folder.path(), Some(SERVICE), Some(SERVICE)).unwrap();
    let path = folder.path().join("state.db");
    let (store, writer) = Store::open(&path, CancellationToken::new()).await.unwrap();
    let presence = store.presence();
    presence.enter().await;
    assert!(presence.keeps_uploads());
    let files = std::fs::read_dir(&folder).unwrap();
    let owners = files.map(|file| {
        let file = file.unwrap();
        let metadata = file.metadata().unwrap();
        (file.file_name(), metadata.uid(), metadata.gid())
    });
    let owners: Vec<_> = owners.collect();
    let is_given = |(_, uid, gid): &(_, u32, u32)| (*uid, *gid) == (SERVICE, SERVICE);
    assert!(owners.iter().all(is_given), "{owners:?}");
    // The database, its log, the index of the log, and two locks.
    assert_eq!(owners.len(), 5, "{owners:?}");
    drop(store);
    writer.close().await.unwrap();
}

#[test]
fn files_that_exist_keep_their_owner() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db.lock");
    open(&path).unwrap();
    chown(folder.path(), Some(SERVICE), None).unwrap();
    open(&path).unwrap();
    assert_eq!(path.metadata().unwrap().uid(), 0);
}
