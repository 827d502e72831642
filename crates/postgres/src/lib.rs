//! A PostgreSQL, Debian's, in a temporary folder. It ends with the test run, however that ends.

#![allow(clippy::unwrap_used, reason = "a test without its server fails")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};

/// The superuser of a server.
pub const USER: &str = "transship";
/// The password of that user.
pub const PASSWORD: &str = "right-password";

/// Starts a server and waits for the end of its input, which comes when nobody holds the other end.
const SCRIPT: &str = r#"
bin=$1 port=$2 password=$3 make=$4 options=$5
trap '' INT
folder=$(mktemp -d /tmp/transship-postgres.XXXXXX) && cd "$folder" || exit 1
printf %s "$password" >password
if eval "$make" >log 2>&1 &&
    printf '%s\n' "port = $port" "unix_socket_directories = '$folder'" 'fsync = off' \
        'synchronous_commit = off' 'full_page_writes = off' 'max_connections = 200' \
        'shared_preload_libraries = pg_stat_statements' >>data/postgresql.conf &&
    eval "$options" &&
    "$bin/pg_ctl" -D "$folder/data" -w -l log start >>log 2>&1
then echo "$folder"
else cat log >&2
fi
cat >/dev/null
"$bin/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null 2>&1
rm -rf "$folder"
"#;

const NEW: &str =
    r#""$bin/initdb" -D data -U transship -A scram-sha-256 --pwfile=password -E UTF8 --no-sync"#;

/// A running server. It ends with the value.
#[derive(Debug)]
pub struct Server {
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    folder: PathBuf,
    bin: PathBuf,
    script: Child,
    /// Its end ends the server.
    input: Option<ChildStdin>,
}

impl Server {
    /// Starts a server on a free port.
    pub fn start() -> Self {
        Self::start_with("true")
    }

    /// Starts a server after a line of shell that sees `data/`.
    pub fn start_with(options: &str) -> Self {
        Self::made(NEW, options)
    }

    /// Starts a standby that follows a server. Its commits arrive some time after they are answered.
    pub fn start_standby(of: &Self) -> Self {
        let port = of.port;
        let copy = format!(
            r#"PGPASSWORD=$password "$bin/pg_basebackup" -h 127.0.0.1 -p {port} -U {USER} -D data -R -c fast --no-sync"#
        );
        Self::made(&copy, "true")
    }

    /// Lets a standby become the server that it followed, at the address of that one, which has ended.
    pub fn take_over(&mut self, from: &Self) {
        let settings = self.folder.join("data/postgresql.conf");
        let port = format!("port = {}\n", from.port);
        let file = fs::OpenOptions::new().append(true).open(settings);
        file.unwrap().write_all(port.as_bytes()).unwrap();
        self.port = from.port;
        self.control("restart");
        self.control("promote");
    }

    fn made(make: &str, options: &str) -> Self {
        let bin = binaries();
        let port = free_port();
        let mut script = as_server(Command::new("sh"))
            .args(["-c", SCRIPT, "postgres"])
            .arg(&bin)
            .args([&port.to_string(), PASSWORD, make, options])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // An interrupt of the test run is not its own.
            .process_group(0)
            .spawn()
            .unwrap();
        let mut folder = String::new();
        let mut output = BufReader::new(script.stdout.take().unwrap());
        output.read_line(&mut folder).unwrap();
        assert!(!folder.is_empty(), "PostgreSQL does not start");
        let input = script.stdin.take();
        Self {
            port,
            folder: folder.trim().into(),
            bin,
            script,
            input,
        }
    }

    /// The URL of a database, for its superuser.
    pub fn url(&self, database: &str) -> String {
        self.url_as(USER, PASSWORD, database)
    }

    /// The URL of a database for another user.
    pub fn url_as(&self, user: &str, password: &str, database: &str) -> String {
        let port = self.port;
        format!("postgres://{user}:{password}@127.0.0.1:{port}/{database}?sslmode=disable")
    }

    /// The process that starts all others of the server.
    pub fn pid(&self) -> u32 {
        let file = fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap();
        file.lines().next().unwrap().parse().unwrap()
    }

    /// Runs an action of `pg_ctl`: `stop`, `start`, `restart`, `promote`.
    pub fn control(&self, action: &str) {
        self.pg_ctl(action, "fast");
    }

    /// Ends it as a crash does.
    pub fn crash(&self) {
        self.pg_ctl("stop", "immediate");
    }

    fn pg_ctl(&self, action: &str, mode: &str) {
        let done = as_server(Command::new(self.bin.join("pg_ctl")))
            .current_dir("/")
            .args([action, "-w", "-m", mode, "-D"])
            .arg(self.folder.join("data"))
            .arg("-l")
            .arg(self.folder.join("log"))
            .stdout(Stdio::null())
            .status();
        assert!(done.unwrap().success(), "pg_ctl {action}");
    }

    /// What `psql` prints for a statement.
    pub fn ask(&self, database: &str, sql: &str) -> String {
        let port = self.port.to_string();
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args(["--no-psqlrc", "-qAt", "-h", "127.0.0.1", "-p", &port])
            .args(["-U", USER, "-d", database, "-c", sql])
            .env("PGPASSWORD", PASSWORD);
        let output = psql.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{sql}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.script.wait();
    }
}

/// PgBouncer in transaction mode, with two connections to the server.
#[derive(Debug)]
pub struct Pooler {
    port: u16,
    script: Child,
    input: Option<ChildStdin>,
}

const POOLER_SCRIPT: &str = r#"
port=$1 server=$2 password=$3
trap '' INT
folder=$(mktemp -d /tmp/transship-pgbouncer.XXXXXX) && cd "$folder" || exit 1
printf '"transship" "%s"\n' "$password" >users
printf '%s\n' '[databases]' "* = host=127.0.0.1 port=$server" '[pgbouncer]' 'listen_addr = 127.0.0.1' \
    "listen_port = $port" 'unix_socket_dir =' 'auth_type = trust' "auth_file = $folder/users" \
    'pool_mode = transaction' 'default_pool_size = 2' >pgbouncer.ini
PATH=$PATH:/usr/sbin
pgbouncer pgbouncer.ini >log 2>&1 &
pid=$!
until grep -q 'process up' log || ! kill -0 $pid 2>/dev/null; do sleep 0.05; done
if kill -0 $pid; then echo up; else cat log >&2; fi
cat >/dev/null
kill $pid
rm -rf "$folder"
"#;

impl Pooler {
    /// Starts one before a server.
    pub fn start(server: &Server) -> Self {
        let port = free_port();
        let mut script = as_server(Command::new("sh"))
            .args(["-c", POOLER_SCRIPT, "pgbouncer"])
            .args([&port.to_string(), &server.port.to_string(), PASSWORD])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut up = [0; 2];
        let output = script.stdout.as_mut().unwrap();
        assert!(
            output.read_exact(&mut up).is_ok(),
            "pgbouncer does not start"
        );
        let input = script.stdin.take();
        Self {
            port,
            script,
            input,
        }
    }

    /// The URL of a database behind it.
    pub fn url(&self, database: &str) -> String {
        let port = self.port;
        format!("postgres://{USER}:any@127.0.0.1:{port}/{database}?sslmode=disable")
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.script.wait();
    }
}

/// The statement that lets the clock by which leases end go so many seconds ahead of PostgreSQL's, or behind it.
pub fn clock_ahead(seconds: i64) -> String {
    format!(
        "CREATE OR REPLACE FUNCTION transship.clock() RETURNS timestamptz LANGUAGE sql STABLE \
         PARALLEL SAFE AS 'SELECT pg_catalog.now() + make_interval(secs => {seconds})'"
    )
}

/// A port on which nobody listens.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// The newest that Debian installed.
fn binaries() -> PathBuf {
    let version = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.and_then(|name| name.parse::<u32>().ok())
    };
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let newest = installed
        .filter_map(|entry| Some(entry.ok()?.path()))
        .max_by_key(|path| version(path));
    newest
        .expect("PostgreSQL is missing: run scripts/deps")
        .join("bin")
}

/// PostgreSQL refuses to run as root.
fn as_server(mut command: Command) -> Command {
    command.env("LC_ALL", "C").current_dir("/tmp");
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        let users = fs::read_to_string("/etc/passwd").unwrap();
        let user = users.lines().find(|line| line.starts_with("postgres:"));
        let fields: Vec<&str> = user.unwrap().split(':').collect();
        command.uid(fields[2].parse().unwrap());
        command.gid(fields[3].parse().unwrap());
    }
    command
}
