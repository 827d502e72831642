use super::*;

#[test]
fn lock_file_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("state.db");
    let _lock = Lock::take(&store).unwrap();
    let lock = folder.path().join("state.db.lock");
    assert_eq!(private_file::mode(&lock), 0o600);
}

#[test]
fn lock_names_its_holder() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("state.db");
    let first = Lock::take(&store).unwrap();
    let error = Lock::take(&store).unwrap_err().to_string();
    assert!(error.contains(&process::id().to_string()), "{error}");
    assert!(error.contains("help: stop that one"), "{error}");
    drop(first);
    Lock::take(&store).unwrap();
}

#[test]
fn holder_is_seen_without_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("state.db");
    assert_eq!(Holder::of(&store), Holder::None);
    let lock = Lock::take(&store).unwrap();
    let process = std::process::id().to_string();
    assert_eq!(
        Holder::of(&store),
        Holder::Running {
            process,
            address: None
        }
    );
    drop(lock);
    assert_eq!(Holder::of(&store), Holder::None);
    Lock::take(&store).unwrap();
}

#[test]
fn holder_names_its_address() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("state.db");
    let lock = Lock::take(&store).unwrap();
    let served = "127.0.0.1:9618".parse().unwrap();
    lock.note_address(served);
    let Holder::Running { process, address } = Holder::of(&store) else {
        panic!("the lock is held");
    };
    assert_eq!(
        (process, address),
        (std::process::id().to_string(), Some(served))
    );
    let other = Lock::take(&store).unwrap_err().to_string();
    assert!(
        other.contains(&format!("(process {})", std::process::id())),
        "{other}"
    );
}
