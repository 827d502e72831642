//! The steps of the daemon's loop, each called by itself.

use std::path::{Path, PathBuf};

use tokio::sync::oneshot;

use super::*;
use crate::{
    alarms::{Alarm, AlarmChanges, AlarmSubject},
    config::{Topic, parse::fingerprint::FileFingerprint},
    daemon::{
        alarms::outbox::{Notification, StatusPages},
        config_watcher::Loading,
        event_loop::{COMPARE_TICKS, RETRY_TICKS},
        services::now,
    },
    notify::{Audience, Delivery, Message},
    status::{Document, Severity},
    store::{EndedRun, RunCounts, StoreEvent},
    sync::Scope,
    web::SyncReply,
};

struct DaemonBench {
    folder: tempfile::TempDir,
    daemon: Daemon,
    _inbox: Inbox,
}

const MIRROR_TOML: &str = "[http]\nlisten = \"127.0.0.1:0\"\n[registries.\"127.0.0.1:9\"]\nplain_http = true\n\
                           [defaults]\ntarget = \"127.0.0.1:9/m\"\nschedule = \"@yearly\"\njitter = \"1h\"\n\
                           [[mirror]]\nname = \"app\"\nfrom = \"127.0.0.1:9/app:1\"\n";

/// A daemon with one mirror, that gets only the events of a test.
async fn bench() -> DaemonBench {
    let mut bench = opened_after(|_| {}).await;
    bench.daemon.apply_config().await.unwrap();
    bench
}

/// The same before it takes anything up; something happens to its file once that was read.
async fn opened_after(event: impl FnOnce(&Path)) -> DaemonBench {
    let folder = tempfile::tempdir().unwrap();
    let state = format!(
        "[state]\npath = \"{}\"\n",
        folder.path().join("state.db").display()
    );
    // As those have it who put a new version of all their files beside the old one.
    std::fs::create_dir(folder.path().join("first")).unwrap();
    std::os::unix::fs::symlink("first", folder.path().join("current")).unwrap();
    let path = folder.path().join("current/mirror.toml");
    std::fs::write(&path, format!("{state}{MIRROR_TOML}")).unwrap();
    let config = Config::load(Some(&path)).unwrap();
    let metrics = Arc::new(Metrics::new().unwrap());
    event(&path);
    let (daemon, inbox) = Daemon::open(config, metrics).await.unwrap();
    DaemonBench {
        folder,
        daemon,
        _inbox: inbox,
    }
}

impl DaemonBench {
    fn file(&self) -> PathBuf {
        self.folder.path().join("current/mirror.toml")
    }

    fn edit(&self, from: &str, to: &str) {
        edit(&self.file(), from, to);
    }

    fn metrics(&self) -> String {
        String::from_utf8(self.daemon.services.metrics.encode().unwrap()).unwrap()
    }

    /// Reads the file as if somebody had asked for it, to the end.
    async fn reload(&mut self) {
        self.daemon.load(LoadReason::Requested);
        self.loaded().await;
    }

    fn due(&mut self, mirror: &str) {
        let (services, work) = (&self.daemon.services, &mut self.daemon.work);
        self.daemon.runs.due(mirror, services, work);
    }

    fn delivered(&mut self, notification: &Notification, deliveries: Vec<Delivery>) {
        let (services, work) = (&self.daemon.services, &mut self.daemon.work);
        let alarms = &mut self.daemon.alarms;
        alarms.delivered(notification, deliveries, services, work);
    }

    fn retry(&mut self) {
        let (services, work) = (&self.daemon.services, &mut self.daemon.work);
        self.daemon.alarms.retry(services, work);
    }

    /// Waits until nobody reads the file.
    async fn loaded(&mut self) {
        while self.daemon.watcher.loading != Loading::Idle {
            let joined = self.daemon.work.join_next().await.unwrap();
            self.daemon.joined(joined).await;
        }
    }
}

fn edit(file: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(file).unwrap();
    std::fs::write(file, text.replace(from, to)).unwrap();
}

#[tokio::test]
async fn reloads_edit_during_startup() {
    let mut bench = opened_after(|file| edit(file, "\"app\"", "\"other\"")).await;
    bench.daemon.begin().await.unwrap();
    bench.loaded().await;
    assert_eq!(&*bench.daemon.services.config().mirrors[0].name, "other");
}

#[tokio::test]
async fn reloads_after_folder_swap() {
    let mut bench = bench().await;
    let (first, second) = (
        bench.folder.path().join("first"),
        bench.folder.path().join("second"),
    );
    std::fs::create_dir(&second).unwrap();
    std::fs::copy(first.join("mirror.toml"), second.join("mirror.toml")).unwrap();
    edit(&second.join("mirror.toml"), "\"app\"", "\"other\"");
    let (link, current) = (
        bench.folder.path().join("new"),
        bench.folder.path().join("current"),
    );
    std::os::unix::fs::symlink("second", &link).unwrap();
    std::fs::rename(&link, &current).unwrap();
    for _ in 0..COMPARE_TICKS {
        bench.daemon.signal(Signal::Tick).await;
    }
    bench.loaded().await;
    assert_eq!(&*bench.daemon.services.config().mirrors[0].name, "other");
}

#[tokio::test]
async fn skips_running_mirror() {
    let mut bench = bench().await;
    bench.due("app");
    assert!(bench.daemon.runs.running.contains_key("app"));
    bench.due("app");
    assert_eq!(bench.daemon.work.len(), 1);
    let skipped =
        "transship_syncs_total{mirror=\"app\",result=\"skipped\",target=\"127.0.0.1:9\"} 1";
    assert!(bench.metrics().contains(skipped), "{}", bench.metrics());
}

#[tokio::test]
async fn only_scheduler_feeds_watchdog() {
    let mut bench = bench().await;
    bench.daemon.systemd = ServiceManager::watched(Duration::ZERO);
    bench.due("app");
    bench.daemon.check_alarms().await;
    bench.reload().await;
    assert_eq!(bench.daemon.systemd.fed, 0);
    bench.daemon.signal(Signal::Tick).await;
    assert_eq!(bench.daemon.systemd.fed, 1);
}

#[tokio::test]
async fn answers_sync_requests() {
    let mut bench = bench().await;
    let mut order = |name: &str| {
        let (reply, mut answer) = oneshot::channel();
        let request = SyncRequest {
            mirror: name.into(),
            scope: Scope::Whole,
            reply,
        };
        let Daemon {
            runs,
            services,
            work,
            ..
        } = &mut bench.daemon;
        runs.request(request, services, work);
        answer.try_recv().unwrap()
    };
    assert_eq!(order("app"), SyncReply::Started);
    assert_eq!(order("app"), SyncReply::Running);
    assert_eq!(order("other"), SyncReply::Refused);
}

#[tokio::test]
async fn invalid_edit_keeps_old_config() {
    let mut bench = bench().await;
    bench.edit("[[mirror]]", "[[mirorr]]");
    bench.reload().await;
    assert_eq!(bench.daemon.services.config().mirrors.len(), 1);
    let rejected = bench.daemon.services.status.rejected_config().unwrap();
    let report = &rejected.report;
    assert!(report.contains("did you mean `mirror`"), "{report}");
    assert!(report.contains(&rejected.summary), "{rejected:?}");
    assert!(rejected.summary.contains("`mirorr`"), "{rejected:?}");
    assert!(
        bench
            .metrics()
            .contains("transship_config_last_reload_successful 0")
    );
    assert_eq!(bench.daemon.alarms.active.all().len(), 1);
    bench.edit("[[mirorr]]", "[[mirror]]");
    bench.reload().await;
    assert_eq!(bench.daemon.services.status.rejected_config(), None);
    assert!(
        bench
            .metrics()
            .contains("transship_config_last_reload_successful 1")
    );
    assert!(bench.daemon.alarms.active.all().is_empty());
}

/// The topics of the alarms on the board.
fn topics(daemon: &Daemon) -> Vec<Topic> {
    let alarms = daemon.alarms.active.all().into_iter();
    alarms.map(|alarm| alarm.topic).collect()
}

/// A run of the mirror that compared all of the source, and ended, at a time.
async fn ran_at(bench: &DaemonBench, at: i64) {
    let recorder = &bench.daemon.services.writer;
    let run = recorder.begin_run(&"app".into(), None, at).await.unwrap();
    let ended = EndedRun {
        run,
        at,
        result: crate::store::RunResult::Ok,
        counts: RunCounts::default(),
        targets: Vec::new(),
        error: None,
    };
    recorder.record(StoreEvent::RunEnded(ended)).await;
    recorder.flush().await;
}

#[tokio::test]
async fn unpaused_mirror_catches_up() {
    let mut bench = bench().await;
    let week_ago = now() - 7 * 24 * 3600;
    ran_at(&bench, week_ago).await;
    bench.edit("\"@yearly\"", "\"@hourly\"\npaused = true");
    bench.edit("jitter = \"1h\"", "jitter = \"59m\"");
    bench.reload().await;
    assert!(bench.daemon.runs.running.is_empty());
    bench.edit("paused = true\n", "");
    bench.reload().await;
    assert!(bench.daemon.runs.running.contains_key("app"));
    assert_eq!(topics(&bench.daemon), []);
    bench.daemon.runs.catching_up.insert("app".into(), week_ago);
    bench.daemon.check_alarms().await;
    assert_eq!(topics(&bench.daemon), [Topic::Stale]);
}

#[tokio::test]
async fn catching_up_raises_no_alarm() {
    let mut bench = opened_after(|_| {}).await;
    let years_ago = now() - 5 * 365 * 24 * 3600;
    ran_at(&bench, years_ago).await;
    bench.daemon.begin().await.unwrap();
    assert!(bench.daemon.runs.running.contains_key("app"));
    assert_eq!(topics(&bench.daemon), []);
    bench.daemon.ran(&"app".into(), None).await;
    assert_eq!(topics(&bench.daemon), [Topic::Stale]);
}

#[tokio::test]
async fn changed_schedule_catches_up() {
    let mut bench = bench().await;
    ran_at(&bench, now() - 7 * 24 * 3600).await;
    bench.edit("jitter = \"1h\"", "jitter = \"59m\"");
    bench.reload().await;
    assert!(bench.daemon.runs.running.is_empty(), "a year is not over");
    bench.edit("\"@yearly\"", "\"@hourly\"");
    bench.reload().await;
    assert!(bench.daemon.runs.running.contains_key("app"));
    assert_eq!(topics(&bench.daemon), []);
}

#[tokio::test]
async fn retries_failed_channel() {
    let mut bench = bench().await;
    let channel = "[notify.ops]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:9/\"\n[[mirror]]";
    bench.edit("[[mirror]]", channel);
    bench.reload().await;
    let report = Notification::report(Message {
        topic: Topic::Report,
        audience: Audience::Everyone,
        document: Document::new("a day", Severity::Good).into(),
        json: serde_json::Value::Null,
    });
    let failed = |channel: &str| Delivery {
        channel: channel.into(),
        result: Err(crate::notify::Error::Failed("503".into())),
    };
    let deliveries = vec![failed("ops"), failed("gone meanwhile")];
    bench.delivered(&report, deliveries);
    assert_eq!(bench.daemon.alarms.outbox.errors().len(), 1);
    // That the channel is mute is reported meanwhile, and that the file is another is known.
    bench.daemon.check_alarms().await;
    bench.daemon.watcher.fingerprint = FileFingerprint::of(&bench.file());
    // So are the lists of clusters compared.
    bench
        .daemon
        .services
        .compare_clusters(&mut bench.daemon.work);
    let before = bench.daemon.work.len();
    bench.daemon.ticks = RETRY_TICKS - 1;
    bench.daemon.signal(Signal::Tick).await;
    assert_eq!(bench.daemon.work.len(), before + 1);
    let ok = Delivery {
        channel: "ops".into(),
        result: Ok(()),
    };
    bench.delivered(&report, vec![ok]);
    assert!(bench.daemon.alarms.outbox.errors().is_empty());
}

#[tokio::test]
async fn clears_channel_that_missed_nothing() {
    let mut bench = bench().await;
    let channel = "[notify.ops]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:9/\"\n[[mirror]]";
    bench.edit("[[mirror]]", channel);
    bench.reload().await;
    let lag = Alarm {
        topic: Topic::Lag,
        subject: AlarmSubject::Mirror("app".into()),
        since: 1,
        message: "app lagged for a while".into(),
        mirrors: Vec::new(),
    };
    let changes = AlarmChanges {
        raised: vec![lag],
        ..AlarmChanges::default()
    };
    let failed = Delivery {
        channel: "ops".into(),
        result: Err(crate::notify::Error::Failed("503".into())),
    };
    let raised = &Notification::of(&changes, 2, &StatusPages::default())[0];
    bench.delivered(raised, vec![failed]);
    assert_eq!(bench.daemon.alarms.outbox.errors().len(), 1);
    bench.retry();
    assert!(bench.daemon.alarms.outbox.errors().is_empty());
}

#[tokio::test]
async fn renamed_mirror_replaces_series() {
    let mut bench = bench().await;
    bench.edit("name = \"app\"", "name = \"other\"");
    bench.reload().await;
    assert!(
        !bench.metrics().contains("mirror=\"app\""),
        "{}",
        bench.metrics()
    );
    assert!(
        bench.metrics().contains("mirror=\"other\""),
        "{}",
        bench.metrics()
    );
    assert!(bench.daemon.runs.running.contains_key("other"));
}

#[tokio::test]
async fn outdated_run_leaves_no_series() {
    let mut bench = bench().await;
    bench.due("app");
    bench.edit("target = \"127.0.0.1:9/m\"", "target = \"new.example/m\"");
    bench.edit("from = \"127.0.0.1:9/app:1\"", "from = \"s.example/app:1\"");
    bench.reload().await;
    bench
        .daemon
        .services
        .metrics
        .error("127.0.0.1:9", crate::registry::ErrorClass::Network);
    bench
        .daemon
        .services
        .metrics
        .tag_copied("app", "127.0.0.1:9", 1);
    assert!(bench.metrics().contains("127.0.0.1:9"));
    bench.daemon.ran(&"app".into(), None).await;
    assert!(
        !bench.metrics().contains("127.0.0.1:9"),
        "{}",
        bench.metrics()
    );
}

#[tokio::test]
async fn refuses_second_daemon() {
    let bench = bench().await;
    let config = Config::load(Some(&bench.file())).unwrap();
    let metrics = Arc::new(Metrics::new().unwrap());
    let refused = Daemon::open(config, metrics).await.err().unwrap();
    assert!(matches!(refused, Error::Lock(LockError::Held { .. })));
}
