//! A tool as a child process: its time, its processor time and its memory, as the kernel counts them.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a running process is let alone between two looks at it.
const PAUSE: Duration = Duration::from_millis(5);

/// Ticks of `/proc/PID/stat` in a second; Linux shows no other unit to programs.
const TICKS: f64 = 100.0;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Well,
    /// With an exit status other than 0.
    Badly,
    /// It was killed on purpose.
    Killed,
    /// It took too long.
    Late,
}

/// What a process used.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    pub seconds: f64,
    /// User and system time, with that of the children it waited for.
    pub processor_seconds: f64,
    /// The most memory that it held.
    pub peak_bytes: u64,
    pub end: End,
}

impl Usage {
    /// Nothing used yet.
    pub fn none() -> Self {
        Self {
            seconds: 0.0,
            processor_seconds: 0.0,
            peak_bytes: 0,
            end: End::Well,
        }
    }

    /// One process after another.
    pub fn and_then(self, next: Self) -> Self {
        Self {
            seconds: self.seconds + next.seconds,
            processor_seconds: self.processor_seconds + next.processor_seconds,
            peak_bytes: self.peak_bytes.max(next.peak_bytes),
            end: if self.end == End::Well || self.end == End::Killed {
                next.end
            } else {
                self.end
            },
        }
    }
}

/// Runs a command until it ends, until `is_time_to_kill`, or until it has taken too long. What it says goes to `log`.
pub fn run(
    mut command: Command,
    log: &Path,
    limit: Duration,
    mut is_time_to_kill: impl FnMut() -> bool,
) -> Usage {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(log).unwrap());
    let start = Instant::now();
    let mut child = command.spawn().unwrap();
    let mut usage = Usage::none();
    let mut killed = None;
    // Until somebody waits for it, a process that has ended still tells what it used.
    while !look(&child, &mut usage) {
        if killed.is_none() && is_time_to_kill() {
            killed = Some(End::Killed);
            child.kill().unwrap();
        } else if killed.is_none() && start.elapsed() >= limit {
            killed = Some(End::Late);
            child.kill().unwrap();
        }
        std::thread::sleep(PAUSE);
    }
    usage.seconds = start.elapsed().as_secs_f64();
    let is_well = child.wait().unwrap().success();
    usage.end = killed.unwrap_or(if is_well { End::Well } else { End::Badly });
    usage
}

/// What a process that runs has used so far.
pub fn now(child: &Child) -> Usage {
    let mut usage = Usage::none();
    look(child, &mut usage);
    usage
}

/// User and system time of a process, with that of the children it waited for; `None` once it is gone.
pub fn seconds_of(pid: u32) -> Option<f64> {
    stat(pid).map(|(_, seconds)| seconds)
}

/// The state of a process, and its processor time.
fn stat(pid: u32) -> Option<(String, f64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program, in parentheses, may hold anything.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks: u64 = fields[11..15]
        .iter()
        .map(|field| field.parse::<u64>().unwrap())
        .sum();
    Some((fields[0].to_owned(), ticks as f64 / TICKS))
}

/// Notes what the process has used so far; says whether it has ended.
fn look(child: &Child, usage: &mut Usage) -> bool {
    let folder = format!("/proc/{}", child.id());
    let (state, seconds) = stat(child.id()).unwrap();
    usage.processor_seconds = seconds;
    let status = fs::read_to_string(format!("{folder}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    // What has ended holds no memory any more.
    usage.peak_bytes = usage.peak_bytes.max(kib.unwrap_or_default() << 10);
    state == "Z"
}
