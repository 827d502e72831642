//! A store that another process holds, that may not be written, and that is closed: what is told, and what goes on.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::NamedTempFile;

use crate::support::net::held::Held;
use crate::support::programs::daemon::{Service, mirror_of, serving};
use crate::support::programs::pair::Pair;
use crate::support::programs::transship::{Finished, Transship, mirrors};
use crate::support::registries::corpus::Image;
use crate::support::{PATIENCE, PAUSE, wait_for, wait_until};

/// Who has the rights of nobody.
const NOBODY: &str = "65534";
const REMEDY: &str = "another process holds it (`fuser";

/// A shell of SQLite's in the middle of a change.
struct Holder(Child);

impl Holder {
    /// Holds the store until the value ends.
    fn of(transship: &Transship) -> Self {
        let mut command = Command::new("sqlite3");
        command
            .args(["-bail", "-cmd", ".timeout 10000", "transship.db"])
            .current_dir(transship.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        let begin = b"BEGIN EXCLUSIVE;\n.shell touch held\n";
        child.stdin.as_mut().unwrap().write_all(begin).unwrap();
        let mark = transship.path().join("held");
        wait_for("the store to be held", || mark.exists().then_some(()));
        fs::remove_file(mark).unwrap();
        Self(child)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Whether a journal lies beside the store: it does until the last connection is closed.
fn has_a_journal(transship: &Transship) -> bool {
    let files = transship.files();
    let mut names = files.iter().filter_map(|path| path.file_name()?.to_str());
    names.any(|name| ["transship.db-wal", "transship.db-shm"].contains(&name))
}

fn app() -> Pair {
    let pair = Pair::mirroring(&mirror_of("app"));
    pair.from.push("app", "v1", &Image::oci("before"));
    pair
}

#[test]
fn sync_names_remedy_for_locked_store() {
    let pair = app();
    pair.transship.sync();
    pair.from.push("app", "v2", &Image::oci("after"));
    pair.ignore_requests();
    let holder = Holder::of(&pair.transship);
    let finished = pair.transship.run(&["sync"]).expect_code(2);
    finished.expect_stderr(&["cannot open the store", "transship.db", "locked", REMEDY]);
    assert!(pair.source.new_requests().is_empty());
    // Whoever only looks need not wait.
    let status = pair.transship.status();
    assert_eq!(mirrors(&status)[0]["targets"][0]["behind"], 0, "{status:#}");
    drop(holder);
    pair.transship.sync();
    pair.assert_mirrored(&[("app", "v1"), ("app", "v2")]);
}

#[test]
fn daemon_continues_while_store_is_locked() {
    let held = Held::with("", "");
    let mut daemon = held.start();
    let holder = Holder::of(&held.transship);
    held.open();
    daemon.until_true("the image to be written", |_| {
        held.target.client().tags("mirror/app") == ["v1"]
    });
    daemon.until_true("the daemon to say what holds it up", |daemon| {
        daemon.log().contains(REMEDY)
    });
    assert_eq!(daemon.get("/healthz").status, 200);
    drop(holder);
    let written = "SELECT count(*) FROM changes; SELECT max(result) FROM runs";
    daemon.until_true("what was learned to be written", |_| {
        held.transship.ask_store(written) == "1\nok"
    });
    daemon.signal("-TERM");
    assert!(daemon.wait().success(), "{}", daemon.log());
    assert!(daemon.log().contains("can be written again"));
}

#[test]
fn daemon_catches_up_after_store_lock() {
    let service = Service::in_sync(&serving("", &mirror_of("app")), |pair| {
        pair.from.push("app", "v1", &Image::oci("before"));
    });
    let Service { pair, mut daemon } = service;
    let holder = Holder::of(&pair.transship);
    pair.from.push("app", "v2", &Image::oci("after"));
    daemon.until_true("the daemon to say what holds it up", |daemon| {
        daemon.log().contains(REMEDY)
    });
    drop(holder);
    daemon.until_true("the new tag", |_| {
        pair.to.tags("mirror/app") == ["v1", "v2"]
    });
    pair.assert_mirrored(&[("app", "v1"), ("app", "v2")]);
    daemon.signal("-TERM");
    assert!(daemon.wait().success(), "{}", daemon.log());
}

#[test]
fn stop_during_store_lock_names_remedy() {
    let held = Held::with("[state]\ndrain = \"1s\"\n", "");
    let mut daemon = held.start();
    let _holder = Holder::of(&held.transship);
    held.open();
    daemon.until_true("the daemon to say what holds it up", |daemon| {
        daemon.log().contains(REMEDY)
    });
    daemon.signal("-TERM");
    assert_eq!(daemon.wait().code(), Some(2), "{}", daemon.log());
    let log = daemon.log();
    let last = log.rsplit("cannot write the store").next().unwrap();
    assert!(last.contains(REMEDY), "{log}");
}

#[test]
fn startup_waits_for_store_lock() {
    let pair = Pair::configured(&serving("", &mirror_of("app")));
    pair.from.push("app", "v1", &Image::oci("before"));
    pair.transship.sync();
    let holder = Holder::of(&pair.transship);
    let log = NamedTempFile::new().unwrap();
    let mut command = pair.transship.command(&["serve"]);
    let mut daemon = command.stderr(log.reopen().unwrap()).spawn().unwrap();
    let says = |words: &str| {
        let text = || fs::read_to_string(log.path()).unwrap();
        let said = wait_until(PATIENCE, PAUSE, || text().contains(words).then_some(()));
        assert!(said.is_some(), "waited in vain for {words:?}\n{}", text());
    };
    says(REMEDY);
    drop(holder);
    says("serving; ");
    daemon.kill().unwrap();
    daemon.wait().unwrap();
}

#[test]
fn daemon_closes_the_store() {
    let service = Service::in_sync(&serving("", &mirror_of("app")), |pair| {
        pair.from.push("app", "v1", &Image::oci("before"));
    });
    let Service { pair, mut daemon } = service;
    assert!(has_a_journal(&pair.transship));
    daemon.signal("-TERM");
    assert!(daemon.wait().success(), "{}", daemon.log());
    assert!(!has_a_journal(&pair.transship));
}

#[test]
fn sync_closes_the_store() {
    let pair = app();
    pair.transship.sync();
    assert!(!has_a_journal(&pair.transship));
}

/// Sets what everybody may do with the folder and the files of the store.
fn allow(transship: &Transship, folder: u32, files: u32) {
    let set = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    for file in transship.files() {
        // A mirror.toml that others can write is refused.
        let is_config = file.ends_with("mirror.toml");
        set(&file, if is_config { files & 0o755 } else { files });
    }
    set(transship.path(), folder);
}

/// Runs the binary as somebody without rights of its own.
fn run_as_nobody(transship: &Transship, arguments: &[&str]) -> Finished {
    let folder = tempfile::tempdir().unwrap();
    let (binary, command) = (
        folder.path().join("transship"),
        transship.command(arguments),
    );
    fs::copy(command.get_program(), &binary).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut run = Command::new("setpriv");
    let who = format!("--reuid={NOBODY}");
    run.args([&who, &format!("--regid={NOBODY}"), "--clear-groups"])
        .arg(binary)
        .args(command.get_args())
        .current_dir(transship.path())
        .env_clear();
    for (name, value) in command.get_envs() {
        run.env(name, value.unwrap_or_default());
    }
    let output = run.output().unwrap();
    Finished {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn read_only_store_fails_first() {
    let pair = app();
    pair.transship.sync();
    pair.from.push("app", "v2", &Image::oci("after"));
    pair.ignore_requests();
    for folder in [0o555, 0o777] {
        allow(&pair.transship, folder, 0o444);
        let finished = run_as_nobody(&pair.transship, &["sync"]).expect_code(2);
        finished.expect_stderr(&["cannot open the store", "transship.db", "help:", "writable"]);
        // Whoever only looks needs no right to write.
        run_as_nobody(&pair.transship, &["--json", "status"]).expect_code(0);
    }
    assert!(pair.source.new_requests().is_empty());
    allow(&pair.transship, 0o777, 0o666);
    run_as_nobody(&pair.transship, &["sync"]).expect_code(0);
    pair.assert_mirrored(&[("app", "v1"), ("app", "v2")]);
}

#[test]
fn unreadable_store_is_permission_denied() {
    let pair = app();
    pair.transship.sync();
    for (folder, files) in [(0o700, 0o600), (0o755, 0o600)] {
        allow(&pair.transship, folder, files);
        for command in ["status", "report"] {
            let said = run_as_nobody(&pair.transship, &[command]);
            if said.stderr.contains("mirror.toml") {
                // The folder of the store is that of the config, too.
                continue;
            }
            let said = said.expect_code(2);
            said.expect_stderr(&["transship.db: permission denied", "help:", "sudo -u"]);
        }
    }
    allow(&pair.transship, 0o777, 0o666);
}

#[test]
fn check_reports_unwritable_store() {
    let pair = app();
    pair.transship.sync();
    for (folder, files) in [(0o555, 0o666), (0o777, 0o444)] {
        allow(&pair.transship, folder, files);
        let said = run_as_nobody(&pair.transship, &["check"]).expect_code(0);
        said.expect_stdout(&[
            "mirror.toml: ok",
            "cannot be written",
            "help: make the file",
        ]);
    }
    allow(&pair.transship, 0o777, 0o666);
    let said = run_as_nobody(&pair.transship, &["check"]).expect_code(0);
    assert!(!said.stdout.contains("help"), "{said}");
}

#[test]
fn unwritable_folder_prevents_startup() {
    let pair = app();
    pair.transship.sync();
    allow(&pair.transship, 0o555, 0o444);
    let finished = run_as_nobody(&pair.transship, &["serve"]).expect_code(2);
    finished.expect_stderr(&["transship.db.lock", "help:", "writable for this user"]);
}
