//! A real PostgreSQL, Debian's, as a child process over a directory of its own.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::wait_for;

const INSTALLED: &str = "/usr/lib/postgresql";
/// PostgreSQL refuses to run as root. Its package brings this user.
const USER: &str = "postgres";
const DATABASE: &str = "transship";

/// A running server with an empty database; it ends with the value.
pub struct Postgres {
    directory: TempDir,
    port: u16,
    process: Child,
}

impl Postgres {
    pub fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let path = directory.path();
        if is_root() {
            run(Command::new("chown").arg(USER).arg(path));
        }
        let data = path.join("data");
        run(as_user("initdb")
            .args([
                "--auth=trust",
                "--no-sync",
                "--encoding=UTF8",
                "--username=transship",
            ])
            .arg(&data));
        let port = free_port();
        let process = serve(path, port);
        let postgres = Self {
            directory,
            port,
            process,
        };
        postgres.wait();
        postgres.ask_in("postgres", &format!("CREATE DATABASE {DATABASE}"));
        postgres
    }

    /// Where workers find it.
    pub fn url(&self) -> String {
        format!("postgres://transship@127.0.0.1:{}/{DATABASE}", self.port)
    }

    /// Ends it, and every connection to it.
    pub fn stop(&mut self) {
        let pid = self.process.id().to_string();
        // SIGINT is PostgreSQL's fast shutdown.
        run(Command::new("kill").args(["-INT", &pid]));
        self.process.wait().unwrap();
    }

    /// Starts it again, where it was.
    pub fn start_again(&mut self) {
        self.process = serve(self.directory.path(), self.port);
        self.wait();
    }

    /// What `psql` prints for a statement.
    pub fn ask(&self, sql: &str) -> String {
        self.ask_in(DATABASE, sql)
    }

    /// Lets the clock by which leases end go ahead.
    pub fn advance_clock(&self, seconds: u32) {
        self.ask(&format!(
            "CREATE OR REPLACE FUNCTION transship.clock() RETURNS timestamptz LANGUAGE sql STABLE \
             PARALLEL SAFE AS 'SELECT pg_catalog.now() + interval ''{seconds} seconds'''"
        ));
    }

    fn ask_in(&self, database: &str, sql: &str) -> String {
        let output = self.psql(database, sql);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{sql}: {said}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn psql(&self, database: &str, sql: &str) -> std::process::Output {
        let port = self.port.to_string();
        let mut psql = Command::new(program("psql"));
        psql.args(["--no-psqlrc", "-qAt", "-h", "127.0.0.1", "-p", &port])
            .args(["-U", "transship", "-d", database, "-c", sql]);
        psql.output().unwrap()
    }

    fn wait(&self) {
        wait_for("PostgreSQL to answer", || {
            let answered = self.psql("postgres", "SELECT 1").status.success();
            answered.then_some(())
        });
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn serve(path: &Path, port: u16) -> Child {
    let mut server = as_user("postgres");
    server
        .arg("-D")
        .arg(path.join("data"))
        .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"])
        .args(["-c", "fsync=off", "-c", "unix_socket_directories="])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    server.spawn().unwrap()
}

/// A program of PostgreSQL, run as a user that may run it.
fn as_user(name: &str) -> Command {
    if !is_root() {
        return Command::new(program(name));
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", USER, "--regid", USER, "--clear-groups"])
        .arg(program(name))
        .current_dir("/");
    command
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A program of the newest version that is installed.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir(INSTALLED).expect("PostgreSQL is installed: make deps");
    let versions = versions.map(|version| version.unwrap().path().join("bin").join(name));
    let newest = versions.filter(|path| path.exists()).max();
    newest.unwrap_or_else(|| panic!("no {name} in {INSTALLED}"))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}
