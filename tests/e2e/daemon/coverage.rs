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

/// A daemon that mirrors `app` and not `web`, and the list of a cluster that runs both.
struct ClusterStage {
    ops: Ops,
    service: Service,
    app: (String, Image),
    web: (String, Image),
}

impl ClusterStage {
    fn start() -> Self {
        let ops = Ops::start();
        let (app, web) = (Image::oci("app"), Image::oci("web"));
        let service = Service::in_sync(&text(&ops, &mirror_of("app")), |pair| {
            pair.from.push("app", "v1", &app);
            pair.from.push("web", "v2", &web);
        });
        let host = service.pair.source.host();
        let names = (format!("{host}/app:v1"), format!("{host}/web:v2"));
        Self {
            ops,
            app: (names.0, app),
            web: (names.1, web),
            service,
        }
    }

    /// Sends the list as curl does. `app` runs this digest.
    fn send(&self, app_digest: String) -> Value {
        let list = pods(&[
            (&self.app.0, app_digest),
            (&self.web.0, self.web.1.digest()),
        ]);
        let path = "/api/v1/coverage/prod";
        let taken = self.service.daemon.post(path, Some(TOKEN), &list);
        assert_eq!(taken.status, 200, "{taken:?}");
        taken.json()
    }

    fn page(&self) -> String {
        self.service.daemon.get("/coverage/prod").body
    }

    /// Waits until a channel was told this.
    fn until_told(&self, line: &str) {
        let told = || self.ops.told().iter().any(|told| told == line);
        self.service.daemon.until_true(line, |_| told());
    }

    /// The counts of the cluster in the report: images, not mirrored, not at the target, another digest.
    fn reported(&self) -> Vec<String> {
        let report = self.service.pair.transship.run(&["report"]);
        let stdout = report.expect_code(0).stdout;
        let mut lines = stdout.lines().map(str::trim);
        // Alarms begin with its name, too.
        let row = lines.find_map(|line| {
            let row = line.strip_prefix("prod ")?.trim_start();
            row.starts_with(|first: char| first.is_ascii_digit())
                .then_some(row)
        });
        let counts = row.unwrap_or_default().split_whitespace().take(4);
        counts.map(str::to_owned).collect()
    }

    #[track_caller]
    fn expect_all_clear(&self) {
        let daemon = &self.service.daemon;
        daemon.until_metric(IMAGES, &of_state("current"), |images| images == 2.0);
        assert_eq!(daemon.metric(IMAGES, &of_state("not_mirrored")), 0.0);
        assert_eq!(daemon.metric(IMAGES, &of_state("other_digest")), 0.0);
        self.until_told("recovered coverage");
        daemon.until_true("no alarm", |daemon| daemon.alarms("coverage").is_empty());
        let page = self.page();
        assert!(page.contains("all mirrored and current"), "{page}");
        assert!(!page.contains(&self.app.0) && !page.contains("add this"));
        assert_eq!(self.reported(), ["2", "0", "0", "0"]);
    }
}

fn text(ops: &Ops, mirrors: &str) -> String {
    let top = format!("[report]\ngroup_wait = \"0s\"\n{}", ops.channel());
    serving_with(&top, &format!("token = \"{TOKEN}\""), mirrors)
}

#[test]
fn missing_image_of_a_cluster_alarms_and_clears() {
    let stage = ClusterStage::start();
    let (daemon, web) = (&stage.service.daemon, &stage.web.0);
    let taken = stage.send(stage.app.1.digest());
    assert_eq!(taken["counts"], json!({ "not_mirrored": 1, "current": 1 }));
    assert!(taken["toml"].as_str().unwrap().contains(web));
    assert_eq!(daemon.metric(IMAGES, &of_state("not_mirrored")), 1.0);
    let reported = "transship_cluster_last_report_timestamp_seconds";
    assert!(daemon.metric(reported, &[("cluster", "prod")]) > 0.0);
    assert!(daemon.get("/").body.contains("href=\"/coverage/prod\""));
    let page = stage.page();
    assert!(page.contains(web) && page.contains("add this"), "{page}");
    let alarm = daemon.until("the alarm", |daemon| daemon.alarms("coverage").pop());
    assert_eq!(alarm["subject"], "prod");
    let message = alarm["message"].as_str().unwrap();
    let words = "prod uses 1 image that no entry mirrors, since ";
    assert!(
        message.starts_with(words) && message.ends_with(web),
        "{message}"
    );
    stage.until_told("alarm coverage");
    assert_eq!(stage.reported(), ["2", "1", "0", "0"]);

    let entries = format!("{}{}", mirror_of("app"), mirror_of("web"));
    stage.service.write(&text(&stage.ops, &entries));
    stage.expect_all_clear();
    let forgotten = daemon.delete("/api/v1/coverage/prod", Some(TOKEN));
    assert_eq!(forgotten.status, 204);
    let series = daemon.metrics().find(reported, &[("cluster", "prod")]);
    assert!(series.is_none());
}

#[test]
fn old_digest_that_a_cluster_runs_alarms_and_clears() {
    let stage = ClusterStage::start();
    let (daemon, app) = (&stage.service.daemon, &stage.app.0);
    let entries = format!("{}{}", mirror_of("app"), mirror_of("web"));
    stage.service.write(&text(&stage.ops, &entries));
    let old = Image::oci("old").digest();
    assert_eq!(stage.send(old.clone())["counts"]["other_digest"], 1);
    daemon.until_metric(IMAGES, &of_state("current"), |images| images == 1.0);
    assert_eq!(daemon.metric(IMAGES, &of_state("other_digest")), 1.0);
    let page = stage.page();
    assert!(
        page.contains(app) && page.contains("runs another digest"),
        "{page}"
    );
    let words = format!("prod runs 1 image in another digest than the mirror has: {app}");
    let alarm = daemon.until("the alarm", |daemon| {
        let alarm = daemon.alarms("coverage").pop()?;
        (alarm["message"] == words.as_str()).then_some(alarm)
    });
    assert_eq!(alarm["subject"], "prod");
    stage.until_told("alarm coverage");
    assert_eq!(stage.reported(), ["2", "0", "0", "1"]);

    stage.send(stage.app.1.digest());
    stage.expect_all_clear();
}
