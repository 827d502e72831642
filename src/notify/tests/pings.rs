//! Healthchecks.

use super::{server::Server, *};

fn notifier_for(server: &Server, keys: &str) -> Notifier {
    let url = server.url("/ping/5cc0d6ff?create=1");
    notifier(&format!(
        "[notify.check]\nkind = \"healthchecks\"\nurl = \"{url}\"\n{keys}\n"
    ))
}

#[tokio::test]
async fn pings_of_a_run_share_an_id() {
    let server = Server::answering("OK").await;
    let notifier = notifier_for(&server, "");
    assert_eq!(only(notifier.run_started("nginx", 7).await), Ok(()));
    let ended = notifier.run_ended("nginx", 7, Ending::Succeeded, "ok: 3 copied, 转运");
    assert_eq!(only(ended.await), Ok(()));
    let ended = notifier.run_ended("nginx", 8, Ending::Failed, "partial: 1 failed");
    assert_eq!(only(ended.await), Ok(()));
    let seen = server.seen();
    let (start, rid) = seen[0].target.split_once("&rid=").unwrap();
    assert_eq!(start, "/ping/5cc0d6ff/start?create=1");
    assert_eq!(seen[1].target, format!("/ping/5cc0d6ff?create=1&rid={rid}"));
    assert_eq!(seen[1].body, "ok: 3 copied, 转运");
    let (fail, other) = seen[2].target.split_once("&rid=").unwrap();
    assert_eq!(fail, "/ping/5cc0d6ff/fail?create=1");
    assert_ne!(other, rid);
    assert!(seen.iter().all(|seen| seen.method == "POST"));
}

#[test]
fn run_id_is_a_uuid() {
    let url = SecretUrl::new("https://hc-ping.com/x".parse().unwrap());
    let id = healthchecks::run_id(&url, "nginx", 1);
    let parts: Vec<&str> = id.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");
    assert!(
        parts[2].starts_with('8') && parts[3].starts_with('8'),
        "{id}"
    );
    assert!(parts.concat().chars().all(|c| c.is_ascii_hexdigit()));
    assert_eq!(id, healthchecks::run_id(&url, "nginx", 1));
    assert_ne!(id, healthchecks::run_id(&url, "redis", 1));
}

#[tokio::test]
async fn long_ping_is_cut_between_characters() {
    let server = Server::answering("OK").await;
    let text = "转运".repeat(30_000);
    let ended = notifier_for(&server, "")
        .run_ended("nginx", 1, Ending::Failed, &text)
        .await;
    assert_eq!(only(ended), Ok(()));
    let body = server.only().body;
    assert!((99_990..=100_000).contains(&body.len()), "{}", body.len());
    assert!(text.starts_with(&body));
}

#[tokio::test]
async fn ignored_ping_is_an_error() {
    let server = Server::answering("OK (not found)").await;
    let error = only(notifier_for(&server, "").run_started("nginx", 1).await).unwrap_err();
    assert!(error.remedy().contains("there is no such check"), "{error}");
    let server = Server::answering("OK").await.then(200, "OK (rate limited)");
    assert_eq!(
        only(notifier_for(&server, "").run_started("nginx", 1).await),
        Ok(())
    );
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn check_gets_runs_of_its_mirrors() {
    let server = Server::answering("OK").await;
    let notifier = notifier_for(&server, "mirrors = \"nginx\"");
    assert!(notifier.run_started("redis", 1).await.is_empty());
    assert!(notifier.deliver(&alarm()).await.is_empty());
    assert_eq!(notifier.run_started("nginx", 1).await.len(), 1);
    let notifier = notifier_for(&server, "on = [\"report\", \"lag\", \"recovered\"]");
    assert!(notifier.run_started("nginx", 1).await.is_empty());
    for (topic, path) in [
        (Topic::Report, "/ping/5cc0d6ff?create=1"),
        (Topic::Lag, "/ping/5cc0d6ff/fail?create=1"),
        (Topic::Recovered, "/ping/5cc0d6ff?create=1"),
    ] {
        assert_eq!(
            only(notifier.deliver(&message(topic, document())).await),
            Ok(())
        );
        let seen = server.seen();
        assert_eq!(seen.last().unwrap().target, path, "{topic:?}");
        assert!(seen.last().unwrap().body.contains("镜像"));
    }
}

#[tokio::test]
async fn trial_changes_no_check() {
    let server = Server::answering("OK").await;
    let notifier = notifier_for(&server, "");
    let trial = message(Topic::Test, document());
    assert_eq!(
        only(notifier.deliver_to(&["check".into()], &trial).await),
        Ok(())
    );
    assert_eq!(server.only().target, "/ping/5cc0d6ff/log?create=1");
}
