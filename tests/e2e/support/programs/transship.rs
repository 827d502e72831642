//! The binary under test, in a directory of its own and with an environment that holds nothing by chance.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{wait_for, wait_until};

/// `transship` with its directory, which is also its home.
pub struct Transship {
    directory: TempDir,
    environment: Vec<(String, String)>,
}

impl Transship {
    /// A directory with this `mirror.toml`.
    pub fn new(mirror_toml: &str) -> Self {
        let transship = Self::without_config();
        transship.write("mirror.toml", mirror_toml);
        transship
    }

    pub fn without_config() -> Self {
        Self {
            directory: TempDir::new().unwrap(),
            environment: Vec::new(),
        }
    }

    pub fn set_env(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Writes a file into the directory, with the folders above it.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Writes a program into the directory, which is in `$PATH`.
    pub fn write_program(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.write(name, &format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Deletes the store, as if it had never been.
    pub fn forget(&self) {
        let stores: Vec<_> = self
            .files()
            .into_iter()
            .filter(|path| name_of(path).starts_with("transship.db"))
            .collect();
        assert!(!stores.is_empty(), "there is a store to delete");
        for path in stores {
            fs::remove_file(path).unwrap();
        }
    }

    /// Lets everything that the store remembers be a year ago.
    pub fn let_a_year_pass(&self) {
        let year = 366 * 24 * 3600;
        self.change_store(&format!(
            "UPDATE tags SET verified_at = verified_at - {year}, referrers_at = referrers_at - {year}"
        ));
    }

    /// Lets every tag that is to be pruned have waited so many days longer.
    pub fn let_prunable_tags_wait(&self, days: i64) {
        let seconds = days * 24 * 3600;
        self.change_store(&format!(
            "UPDATE tags SET prunable_since = prunable_since - {seconds}"
        ));
    }

    /// Lets an older version have compared every mirror last.
    pub fn forget_tag_order(&self) {
        self.change_store("DELETE FROM tag_orders");
    }

    /// Lets every tag have been written and looked at so many days earlier.
    pub fn let_tags_age(&self, days: i64) {
        let seconds = days * 24 * 3600;
        self.change_store(&format!(
            "UPDATE tags SET mirrored_at = mirrored_at - {seconds}, \
             examined_at = examined_at - {seconds}"
        ));
    }

    /// Lets every tag that lags have begun to an hour earlier.
    pub fn let_the_lag_be_an_hour_older(&self) {
        self.change_store("UPDATE tags SET lagging_since = lagging_since - 3600");
    }

    fn change_store(&self, sql: &str) {
        self.ask_store(sql);
    }

    /// What `sqlite3` prints for a query of the store.
    pub fn ask_store(&self, sql: &str) -> String {
        let store = self.path().join("transship.db");
        let mut command = Command::new("sqlite3");
        // A daemon may be writing at the same time.
        command.args(["-cmd", ".timeout 10000"]).arg(store).arg(sql);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{sql}: {said}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// The files of the directory itself.
    pub fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path())
            .unwrap()
            .map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_file()).collect()
    }

    /// Runs the binary to its end.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        let output = assert_cmd::Command::from_std(self.command(arguments))
            .timeout(Duration::from_secs(120))
            .output()
            .unwrap();
        let finished = Finished {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        assert!(
            finished.code.is_some(),
            "transship {arguments:?} ended by itself\n{finished}"
        );
        finished
    }

    /// Starts the binary and lets it run.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let mut command = self.command(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Running {
            child: command.spawn().unwrap(),
        }
    }

    /// The binary with these arguments, in its directory and environment; `TRANSSHIP_BINARY` names
    /// another, such as a release build.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let binary = std::env::var_os("TRANSSHIP_BINARY");
        let built = env!("CARGO_BIN_EXE_transship");
        let mut command = Command::new(binary.unwrap_or_else(|| built.into()));
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", self.path().display()))
            .env("HOME", self.path())
            .env("NO_COLOR", "1")
            .envs(self.environment.clone());
        command
    }

    /// One sync that must succeed, and what it reported.
    pub fn sync(&self) -> Value {
        self.run(&["--json", "sync"]).expect_code(0).json()
    }

    /// What `status` reports.
    pub fn status(&self) -> Value {
        self.run(&["--json", "status"]).expect_code(0).json()
    }
}

/// A run of the binary that is under way; it ends with the value.
pub struct Running {
    child: Child,
}

impl Running {
    /// Asks it to end, as Ctrl-C does.
    pub fn interrupt(&self) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-INT", &pid]).status().unwrap();
        assert!(status.success());
    }

    /// Kills it as a power cut does, unless it ends before; whether it was killed.
    pub fn kill_after(&mut self, moment: Duration) -> bool {
        let pause = Duration::from_millis(5);
        if wait_until(moment, pause, || self.child.try_wait().unwrap()).is_some() {
            return false;
        }
        self.child.kill().unwrap();
        self.child.wait().unwrap().code().is_none()
    }

    /// Waits for its end, not for long.
    pub fn wait(&mut self) -> ExitStatus {
        wait_for("transship to end", || self.child.try_wait().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A run of the binary that has ended.
#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    /// Fails the test unless this is the exit status.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "exit status\n{self}");
        self
    }

    /// Fails the test unless all these words are on standard error, whatever the line breaks between them.
    #[track_caller]
    pub fn expect_stderr(self, words: &[&str]) -> Self {
        let text = squeeze(&self.stderr);
        for word in words {
            assert!(
                text.contains(&squeeze(word)),
                "standard error does not say {word:?}\n{self}"
            );
        }
        self
    }

    /// Fails the test unless all these words are on standard output.
    #[track_caller]
    pub fn expect_stdout(self, words: &[&str]) -> Self {
        let text = squeeze(&self.stdout);
        for word in words {
            assert!(
                text.contains(&squeeze(word)),
                "standard output does not say {word:?}\n{self}"
            );
        }
        self
    }

    /// Standard output, which must be one JSON value and nothing else.
    #[track_caller]
    pub fn json(&self) -> Value {
        let parsed = serde_json::from_str(&self.stdout);
        parsed.unwrap_or_else(|error| panic!("standard output is not JSON: {error}\n{self}"))
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            code,
            stdout,
            stderr,
        } = self;
        write!(
            formatter,
            "exit {code:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}"
        )
    }
}

/// The number at a JSON pointer of a report.
#[track_caller]
pub fn number(report: &Value, pointer: &str) -> u64 {
    let found = report.pointer(pointer).and_then(Value::as_u64);
    found.unwrap_or_else(|| panic!("there is no number at {pointer} of {report:#}"))
}

/// The sum of a number over every mirror of a report.
#[track_caller]
pub fn sum(report: &Value, pointer: &str) -> u64 {
    mirrors(report)
        .iter()
        .map(|mirror| number(mirror, pointer))
        .sum()
}

/// The mirrors of a report.
#[track_caller]
pub fn mirrors(report: &Value) -> &[Value] {
    report["mirrors"]
        .as_array()
        .unwrap_or_else(|| panic!("there are no mirrors in {report:#}"))
}

/// The mirror of a report that has this name.
#[track_caller]
pub fn mirror<'a>(report: &'a Value, name: &str) -> &'a Value {
    let found = mirrors(report).iter().find(|mirror| mirror["name"] == name);
    found.unwrap_or_else(|| panic!("there is no mirror {name} in {report:#}"))
}

/// Lower case, without white space and the frames that a message may be drawn in.
fn squeeze(text: &str) -> String {
    let kept = text
        .chars()
        .filter(|c| !c.is_whitespace() && !"│╭╰─·|".contains(*c));
    kept.flat_map(char::to_lowercase).collect()
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}
