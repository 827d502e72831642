//! Uploads that go on elsewhere, large blobs that are sent once, content that may be wrong.

use transship_cluster::{Flight, UploadRecord};

use crate::support::{TOO_LONG, TestDatabase, blob, claim_one, in_sync, publish, units, worker};

fn upload(offset: u64) -> UploadRecord {
    UploadRecord {
        location: "https://harbor.example.com/v2/library/alpine/blobs/uploads/1?_state=a%2Bb"
            .into(),
        offset,
        hash_state: (0..=255).collect(),
        hash_kind: "sha2-0.11".into(),
        names_next_byte: Some(true),
    }
}

#[tokio::test]
async fn uploads_are_taken_over_with_their_hash() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(1)).await;
    let a = worker(&cluster, "a").await;
    let claim = claim_one(&a).await;
    let key = blob("sha256:1");
    a.blobs()
        .save_upload(&claim, &key, &upload(1))
        .await
        .unwrap();
    a.blobs()
        .save_upload(&claim, &key, &upload(5 << 30))
        .await
        .unwrap();
    database.pass(TOO_LONG).await;
    let b = worker(&cluster, "b").await;
    let taken = claim_one(&b).await;
    let other_kind = b
        .blobs()
        .take_upload(&taken, &key, "sha2-0.12")
        .await
        .unwrap();
    assert_eq!(other_kind, None);
    let saved = b
        .blobs()
        .take_upload(&taken, &key, "sha2-0.11")
        .await
        .unwrap();
    assert_eq!(saved, Some(upload(5 << 30)));
    assert!(
        a.blobs()
            .save_upload(&claim, &key, &upload(6 << 30))
            .await
            .is_err()
    );
    b.blobs().forget_upload(&taken, &key).await.unwrap();
    let gone = b
        .blobs()
        .take_upload(&taken, &key, "sha2-0.11")
        .await
        .unwrap();
    assert_eq!(gone, None);
}

#[tokio::test]
async fn uploads_of_living_owners_stay() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(2)).await;
    let (a, b) = (worker(&cluster, "a").await, worker(&cluster, "b").await);
    let (one, two) = (a.claim(1).await.unwrap().remove(0), claim_one(&b).await);
    let key = blob("sha256:1");
    a.blobs().save_upload(&one, &key, &upload(1)).await.unwrap();
    let busy = b
        .blobs()
        .take_upload(&two, &key, "sha2-0.11")
        .await
        .unwrap();
    assert_eq!(busy, None);
    let own = a
        .blobs()
        .take_upload(&one, &key, "sha2-0.11")
        .await
        .unwrap();
    assert_eq!(own, Some(upload(1)));
    // Its run ended without it.
    a.release(&one, &in_sync()).await.unwrap();
    let free = b
        .blobs()
        .take_upload(&two, &key, "sha2-0.11")
        .await
        .unwrap();
    assert_eq!(free, Some(upload(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_claim_sends_a_blob() {
    let database = TestDatabase::new().await;
    publish(&database.cluster().await, units(6)).await;
    let key = blob("sha256:1");
    let mut tasks = Vec::new();
    for name in ["a", "b", "c", "d", "e", "f"] {
        let cluster = database.cluster().await;
        let worker = worker(&cluster, name).await;
        let claim = worker.claim(1).await.unwrap().remove(0);
        let key = key.clone();
        tasks.push(tokio::spawn(async move {
            let flight = worker.blobs().begin_flight(&claim, &key).await.unwrap();
            (worker, claim, flight)
        }));
    }
    let mut flights = Vec::new();
    for task in tasks {
        flights.push(task.await.unwrap());
    }
    let leads = |flight: &Flight| *flight == Flight::Lead;
    assert_eq!(
        flights
            .iter()
            .filter(|(_, _, flight)| leads(flight))
            .count(),
        1
    );
    let at = flights
        .iter()
        .position(|(_, _, flight)| leads(flight))
        .unwrap();
    let (leader, claim, _) = flights.swap_remove(at);
    leader.blobs().land(&claim, &key).await.unwrap();
    for (worker, claim, flight) in flights {
        assert_eq!(flight, Flight::Busy);
        let repository = key.repository.clone();
        let again = worker.blobs().begin_flight(&claim, &key).await.unwrap();
        assert_eq!(again, Flight::Held { repository });
    }
}

#[tokio::test]
async fn flights_end_with_their_claim() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(3)).await;
    let (a, b) = (worker(&cluster, "a").await, worker(&cluster, "b").await);
    let (one, two) = (
        a.claim(1).await.unwrap().remove(0),
        b.claim(1).await.unwrap().remove(0),
    );
    let key = blob("sha256:1");
    assert_eq!(
        a.blobs().begin_flight(&one, &key).await.unwrap(),
        Flight::Lead
    );
    assert_eq!(
        a.blobs().begin_flight(&one, &key).await.unwrap(),
        Flight::Lead
    );
    assert_eq!(
        b.blobs().begin_flight(&two, &key).await.unwrap(),
        Flight::Busy
    );
    a.blobs().abort_flight(&one, &key).await.unwrap();
    assert_eq!(
        b.blobs().begin_flight(&two, &key).await.unwrap(),
        Flight::Lead
    );
    b.release(&two, &in_sync()).await.unwrap();
    assert_eq!(
        a.blobs().begin_flight(&one, &key).await.unwrap(),
        Flight::Lead
    );
    database.pass(TOO_LONG).await;
    let c = worker(&cluster, "c").await;
    let three = c.claim(1).await.unwrap().remove(0);
    assert_eq!(
        c.blobs().begin_flight(&three, &key).await.unwrap(),
        Flight::Lead
    );
}

#[tokio::test]
async fn blobs_that_a_registry_lost_are_sent_again() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(1)).await;
    let a = worker(&cluster, "a").await;
    let claim = claim_one(&a).await;
    let key = blob("sha256:1");
    let mut elsewhere = key.clone();
    elsewhere.repository = "library/busybox".into();
    a.blobs().land(&claim, &elsewhere).await.unwrap();
    a.blobs().land(&claim, &key).await.unwrap();
    // The own repository is the best answer: nothing has to be mounted.
    let repository = key.repository.clone();
    let held = a.blobs().begin_flight(&claim, &key).await.unwrap();
    assert_eq!(held, Flight::Held { repository });
    a.blobs().forget_held(&key).await.unwrap();
    let repository = elsewhere.repository.clone();
    let held = a.blobs().begin_flight(&claim, &key).await.unwrap();
    assert_eq!(held, Flight::Held { repository });
    a.blobs().forget_held(&elsewhere).await.unwrap();
    assert_eq!(
        a.blobs().begin_flight(&claim, &key).await.unwrap(),
        Flight::Lead
    );
}

#[tokio::test]
async fn doubts_are_shared_until_cleared() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(1)).await;
    let (a, b) = (worker(&cluster, "a").await, worker(&cluster, "b").await);
    let claim = claim_one(&a).await;
    let content = blob("sha256:1");
    b.blobs().suspect(&content).await.unwrap();
    b.blobs().suspect(&content).await.unwrap();
    let suspects = a.blobs().suspects().await.unwrap();
    assert_eq!(suspects, std::slice::from_ref(&content));
    a.blobs().clear_suspect(&claim, &content).await.unwrap();
    assert!(b.blobs().suspects().await.unwrap().is_empty());
}
