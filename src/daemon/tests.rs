//! The steps of the daemon's loop, each called alone.

use std::path::PathBuf;

use tokio::sync::oneshot;

use super::*;
use crate::{http_server::Accepted, sync::Scope};

struct Bench {
    folder: tempfile::TempDir,
    daemon: Daemon,
    _inbox: Inbox,
}

const MIRROR_TOML: &str = "[http]\nlisten = \"127.0.0.1:0\"\n[registries.\"127.0.0.1:9\"]\nplain_http = true\n\
                           [defaults]\ntarget = \"127.0.0.1:9/m\"\nschedule = \"@yearly\"\njitter = \"1h\"\n\
                           [[mirror]]\nname = \"app\"\nfrom = \"127.0.0.1:9/app:1\"\n";

/// A daemon with one mirror, that is told nothing but what a test tells it.
async fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let state = format!(
        "[state]\npath = \"{}\"\n",
        folder.path().join("state.db").display()
    );
    let path = folder.path().join("mirror.toml");
    std::fs::write(&path, format!("{state}{MIRROR_TOML}")).unwrap();
    let config = Config::load(Some(&path)).unwrap();
    let metrics = Arc::new(Metrics::new().unwrap());
    let (mut daemon, inbox) = Daemon::open(config, metrics).await.unwrap();
    daemon.take_up().await.unwrap();
    Bench {
        folder,
        daemon,
        _inbox: inbox,
    }
}

impl Bench {
    fn file(&self) -> PathBuf {
        self.folder.path().join("mirror.toml")
    }

    fn edit(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.file()).unwrap();
        std::fs::write(self.file(), text.replace(from, to)).unwrap();
    }

    fn metrics(&self) -> String {
        String::from_utf8(self.daemon.metrics.encode().unwrap()).unwrap()
    }

    /// Reads the file as if somebody had asked for it, to the end.
    async fn reload(&mut self) {
        self.daemon.load(events::Why::Asked);
        while self.daemon.loading != Loading::Idle {
            let joined = self.daemon.work.join_next().await.unwrap();
            self.daemon.joined(joined).await;
        }
    }
}

#[tokio::test]
async fn a_mirror_that_still_runs_is_skipped_and_counted() {
    let mut bench = bench().await;
    bench.daemon.tick("app");
    assert!(bench.daemon.busy.contains_key("app"));
    bench.daemon.tick("app");
    assert_eq!(bench.daemon.work.len(), 1);
    let skipped =
        "transship_syncs_total{mirror=\"app\",result=\"skipped\",target=\"127.0.0.1:9\"} 1";
    assert!(bench.metrics().contains(skipped), "{}", bench.metrics());
}

#[tokio::test]
async fn only_the_scheduler_feeds_the_watchdog() {
    let mut bench = bench().await;
    bench.daemon.service = Service::watched(Duration::ZERO);
    bench.daemon.tick("app");
    bench.daemon.look().await;
    bench.reload().await;
    assert_eq!(bench.daemon.service.fed, 0);
    bench.daemon.signal(Signal::Beat).await;
    assert_eq!(bench.daemon.service.fed, 1);
}

#[tokio::test]
async fn a_run_that_is_asked_for_begins_unless_the_mirror_runs_or_is_unknown() {
    let mut bench = bench().await;
    let mut order = |name: &str| {
        let (reply, mut answer) = oneshot::channel();
        bench.daemon.order(Order {
            mirror: name.into(),
            scope: Scope::Whole,
            reply,
        });
        answer.try_recv().unwrap()
    };
    assert_eq!(order("app"), Accepted::Started);
    assert_eq!(order("app"), Accepted::Running);
    assert_eq!(order("other"), Accepted::Refused);
}

#[tokio::test]
async fn a_bad_edit_keeps_the_config_and_is_told_until_it_is_mended() {
    let mut bench = bench().await;
    bench.edit("[[mirror]]", "[[mirorr]]");
    bench.reload().await;
    assert_eq!(bench.daemon.config.load().mirrors.len(), 1);
    let error = bench.daemon.board.config_error().unwrap();
    assert!(error.contains("did you mean `mirror`"), "{error}");
    assert!(
        bench
            .metrics()
            .contains("transship_config_last_reload_successful 0")
    );
    assert_eq!(bench.daemon.board.alarms().len(), 1);
    bench.edit("[[mirorr]]", "[[mirror]]");
    bench.reload().await;
    assert_eq!(bench.daemon.board.config_error(), None);
    assert!(
        bench
            .metrics()
            .contains("transship_config_last_reload_successful 1")
    );
    assert!(bench.daemon.board.alarms().is_empty());
}

#[tokio::test]
async fn a_mirror_that_left_loses_its_metrics_and_a_new_one_runs_at_once() {
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
    assert!(bench.daemon.busy.contains_key("other"));
}

#[tokio::test]
async fn a_second_daemon_on_the_store_is_refused() {
    let bench = bench().await;
    let config = Config::load(Some(&bench.file())).unwrap();
    let metrics = Arc::new(Metrics::new().unwrap());
    let refused = Daemon::open(config, metrics).await.err().unwrap();
    assert!(matches!(refused, Error::Lock(LockError::Held { .. })));
}
