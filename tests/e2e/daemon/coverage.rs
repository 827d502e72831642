//! What clusters use: their lists, what is missing of them, and how that clears.

use serde_json::{Value, json};

use crate::daemon::faults::Ops;
use crate::support::programs::daemon::{Service, mirror_of, serving_with};
use crate::support::registries::corpus::Image;

const TOKEN: &str = "open-sesame-0123456789";
const IMAGES: &str = "transship_cluster_images";

/// A pod that runs a digest of each image.
fn pods(running: &[(&str, String)]) -> Value {
    let items = running.iter().map(|(image, digest)| {
        let repository = image.rsplit_once(':').map_or(*image, |(name, _)| name);
        json!({
            "kind": "Pod",
            "metadata": { "name": "p", "namespace": "default" },
            "spec": { "containers": [{ "name": "c", "image": image }] },
            "status": { "containerStatuses": [{ "name": "c", "imageID": format!("{repository}@{digest}") }] },
        })
    });
    json!({ "kind": "List", "items": items.collect::<Vec<_>>() })
}

fn of_state(state: &str) -> [(&str, &str); 2] {
    [("cluster", "prod"), ("state", state)]
}

#[test]
fn missing_image_of_a_cluster_alarms_and_clears() {
    let ops = Ops::start();
    let top = format!("[report]\ngroup_wait = \"0s\"\n{}", ops.channel());
    let http = format!("token = \"{TOKEN}\"");
    let (app, web) = (Image::oci("app"), Image::oci("web"));
    let service = Service::in_sync(&serving_with(&top, &http, &mirror_of("app")), |pair| {
        pair.from.push("app", "v1", &app);
        pair.from.push("web", "v2", &web);
    });
    let daemon = &service.daemon;
    let host = service.pair.source.host();
    let (app_name, web_name) = (format!("{host}/app:v1"), format!("{host}/web:v2"));
    let send = |app_digest: String| {
        let list = pods(&[(&app_name, app_digest), (&web_name, web.digest())]);
        daemon.post("/api/v1/coverage/prod", Some(TOKEN), &list)
    };

    let taken = send(Image::oci("old").digest());
    assert_eq!(taken.status, 200, "{taken:?}");
    let counts = json!({ "not_mirrored": 1, "other_digest": 1 });
    assert_eq!(taken.json()["counts"], counts);
    assert!(taken.json()["toml"].as_str().unwrap().contains(&web_name));
    assert_eq!(daemon.metric(IMAGES, &of_state("not_mirrored")), 1.0);
    assert_eq!(daemon.metric(IMAGES, &of_state("other_digest")), 1.0);
    let reported = "transship_cluster_last_report_timestamp_seconds";
    assert!(daemon.metric(reported, &[("cluster", "prod")]) > 0.0);
    assert!(daemon.get("/").body.contains("href=\"/coverage/prod\""));
    let page = daemon.get("/coverage/prod").body;
    for part in [&*web_name, &*app_name, "runs another digest", "add this"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let alarm = daemon.until("the alarm", |daemon| daemon.alarms("coverage").pop());
    assert_eq!(alarm["subject"], "prod");
    let message = alarm["message"].as_str().unwrap();
    assert!(
        message.starts_with("prod uses 1 image that no entry mirrors, since "),
        "{message}"
    );
    let told = |line: &str| ops.told().iter().any(|told| told == line);
    daemon.until_true("the message", |_| told("alarm coverage"));
    let report = service.pair.transship.run(&["report"]).expect_code(0);
    report.expect_stdout(&["Clusters", "prod", "runs another digest"]);

    let entries = format!("{}{}", mirror_of("app"), mirror_of("web"));
    service.write(&serving_with(&top, &http, &entries));
    daemon.until_metric(IMAGES, &of_state("not_mirrored"), |images| images == 0.0);
    assert_eq!(send(app.digest()).status, 200);
    daemon.until_metric(IMAGES, &of_state("current"), |images| images == 2.0);
    daemon.until_true("the recovery", |_| told("recovered coverage"));
    let forgotten = daemon.delete("/api/v1/coverage/prod", Some(TOKEN));
    assert_eq!(forgotten.status, 204);
    assert!(
        daemon
            .metrics()
            .find(reported, &[("cluster", "prod")])
            .is_none()
    );
}
