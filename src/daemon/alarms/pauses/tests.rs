use chrono::DateTime;

use super::*;

fn health(until: Option<i64>) -> BTreeMap<String, RegistryHealth> {
    let health = RegistryHealth {
        login_refused: false,
        paused_until: until.and_then(|until| DateTime::from_timestamp(until, 0)),
    };
    BTreeMap::from([("quay.io".to_owned(), health)])
}

#[test]
fn pause_is_remembered_after_its_end() {
    let mut pauses = RegistryPauses::default();
    assert_eq!(pauses.update(&health(None)), []);
    let first = [("quay.io".to_owned(), 500)];
    assert_eq!(pauses.update(&health(Some(500))), first);
    assert_eq!(pauses.update(&health(None)), first);
    assert_eq!(
        pauses.update(&health(Some(900))),
        [("quay.io".to_owned(), 900)]
    );
}

#[test]
fn pause_of_removed_registry_is_forgotten() {
    let mut pauses = RegistryPauses::default();
    pauses.update(&health(Some(500)));
    assert_eq!(pauses.update(&BTreeMap::new()), []);
    assert_eq!(pauses.update(&health(None)), []);
}
