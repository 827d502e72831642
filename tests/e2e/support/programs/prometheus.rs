//! A real Prometheus, Debian's, that scrapes a daemon every second.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::net::http::Http;
use crate::support::{PATIENCE, PAUSE, wait_until};

/// A running Prometheus; it ends with the value.
pub struct Prometheus {
    directory: TempDir,
    child: Child,
    address: String,
    http: Http,
}

impl Prometheus {
    /// Starts it on a free port, with the daemon at `address` as its only target.
    pub fn scraping(address: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let path = directory.path();
        let config = format!(
            "global:\n  scrape_interval: 1s\nscrape_configs:\n- job_name: transship\n  static_configs:\n  - targets: ['{address}']\n"
        );
        fs::write(path.join("prometheus.yml"), config).unwrap();
        let child = Command::new("prometheus")
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg("--web.listen-address=127.0.0.1:0")
            .current_dir(path)
            .stdout(Stdio::null())
            .stderr(File::create(path.join("log")).unwrap())
            .spawn()
            .expect("prometheus is installed");
        let mut prometheus = Self {
            directory,
            child,
            address: String::new(),
            http: Http::new(),
        };
        let address = wait_until(PATIENCE, PAUSE, || prometheus.told_address());
        prometheus.address = address.unwrap_or_else(|| panic!("{}", prometheus.log()));
        prometheus
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    fn told_address(&self) -> Option<String> {
        let log = self.log();
        let line = log.lines().find(|line| line.contains("Listening on"))?;
        let address = line.split_once("address=")?.1.split_whitespace().next()?;
        Some(address.to_owned())
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The first value that an expression yields now, if there is one.
    pub fn query(&self, expression: &str) -> Option<f64> {
        let query: String = url::form_urlencoded::byte_serialize(expression.as_bytes()).collect();
        let url = format!("http://{}/api/v1/query?query={query}", self.address);
        let page = self.http.get(&url).ok().filter(|page| page.status == 200)?;
        let value = page.json().pointer("/data/result/0/value/1").cloned()?;
        value.as_str()?.parse().ok()
    }

    /// Waits until an expression yields something.
    #[track_caller]
    pub fn until(&self, expression: &str) -> f64 {
        let found = wait_until(PATIENCE, PAUSE, || self.query(expression));
        found.unwrap_or_else(|| panic!("{expression} yields nothing\n{}", self.log()))
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
