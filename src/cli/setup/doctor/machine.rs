//! The machine: disk, permissions, TCP, open files.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    path::Path,
};

use rustix::process::{Resource, getrlimit};

use crate::{
    cli::{error::CommandFailure, output, setup::doctor::finding::DoctorFinding},
    config::Config,
    daemon::Holder,
    store::{Store, folder_of},
};

/// Free space that is enough for a store and its log, in bytes.
const ENOUGH_DISK: u64 = 1 << 30;
/// Free space below which a run may fail, in bytes.
const LITTLE_DISK: u64 = 64 << 20;
/// A TCP buffer that fills 200 Mbit/s at a round trip of 300 ms, in bytes.
const GOOD_TCP_BUFFER: u64 = 8 << 20;
/// Open files of a daemon with several registries at 16 connections each.
const ENOUGH_FILES: u64 = 4096;

/// All checks of the machine.
pub(crate) async fn check(config: &Config) -> Vec<DoctorFinding> {
    let store = &config.state_path;
    vec![
        usable_store(store).await,
        disk(store),
        listener("http", config.http.listen, &Holder::of(store)),
        congestion_control(Path::new("/proc/sys/net")),
        buffers(Path::new("/proc/sys/net")),
        open_files(getrlimit(Resource::Nofile).current),
    ]
}

/// Whether the store can be written, and read. The next run replaces a damaged one, and what that one knew is lost.
async fn usable_store(path: &Path) -> DoctorFinding {
    let Some(error) = Store::fault(path).await else {
        return DoctorFinding::ok("store", format!("{} can be written", path.display()));
    };
    let is_mended_by_a_run = error.is_mended_by_a_run();
    let failure = CommandFailure::of(&error.into());
    let (message, remedy) = (failure.error, failure.remedy.unwrap_or_default());
    match is_mended_by_a_run {
        true => DoctorFinding::warning("store", message, remedy),
        false => DoctorFinding::failed("store", message, remedy),
    }
}

fn disk(store: &Path) -> DoctorFinding {
    let folder = folder_of(store);
    let Ok(space) = rustix::fs::statvfs(folder) else {
        return DoctorFinding::skipped("disk", format!("there is no {}", folder.display()));
    };
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    let message = format!("{} free at {}", output::bytes(free), folder.display());
    let remedy = "free some space, or move the store: [state] path";
    match free {
        0..LITTLE_DISK => DoctorFinding::failed("disk", message, remedy),
        LITTLE_DISK..ENOUGH_DISK => DoctorFinding::warning("disk", message, remedy),
        _ => DoctorFinding::ok("disk", message),
    }
}

/// Whether the daemon can listen at an address, or does.
fn listener(table: &str, address: SocketAddr, holder: &Holder) -> DoctorFinding {
    let remedy =
        format!("stop the program that listens there, or set another `listen` in [{table}]");
    match (TcpListener::bind(address), holder) {
        (Ok(_), _) => DoctorFinding::ok("listen", format!("{address} is free")),
        (Err(error), Holder::Running { .. }) if error.kind() == io::ErrorKind::AddrInUse => {
            DoctorFinding::ok(
                "listen",
                format!("{address} is in use, and the daemon runs"),
            )
        }
        (Err(error), _) if error.kind() == io::ErrorKind::AddrInUse => {
            DoctorFinding::failed("listen", format!("{address} is in use"), remedy)
        }
        (Err(error), _) => DoctorFinding::failed(
            "listen",
            format!("{address} cannot be used: {error}"),
            format!("set an address of this machine as `listen` in [{table}]"),
        ),
    }
}

/// BBR keeps its rate where packets are lost
/// ([Cardwell and others, 2016](https://queue.acm.org/detail.cfm?id=3022184)).
fn congestion_control(sysctl: &Path) -> DoctorFinding {
    let read = |name: &str| fs::read_to_string(sysctl.join("ipv4").join(name));
    let Ok(current) = read("tcp_congestion_control") else {
        return DoctorFinding::skipped("congestion", "this system does not show it");
    };
    let current = current.trim();
    if current.starts_with("bbr") {
        return DoctorFinding::ok("congestion", current);
    }
    let available = read("tcp_available_congestion_control").unwrap_or_default();
    let module = match available.split_whitespace().any(|name| name == "bbr") {
        true => "",
        false => "modprobe tcp_bbr && echo tcp_bbr > /etc/modules-load.d/bbr.conf\n",
    };
    DoctorFinding::warning(
        "congestion",
        format!("{current}: slow where packets are lost on a long line"),
        format!(
            "{module}printf 'net.core.default_qdisc=fq\\nnet.ipv4.tcp_congestion_control=bbr\\n' > \
             /etc/sysctl.d/90-bbr.conf && sysctl --system"
        ),
    )
}

/// What one connection may have in flight.
fn buffers(sysctl: &Path) -> DoctorFinding {
    let largest = |name: &str| {
        let text = fs::read_to_string(sysctl.join("ipv4").join(name)).ok()?;
        text.split_whitespace().nth(2)?.parse::<u64>().ok()
    };
    let (Some(receive), Some(send)) = (largest("tcp_rmem"), largest("tcp_wmem")) else {
        return DoctorFinding::skipped("buffers", "this system does not show them");
    };
    let message = format!(
        "at most {} to receive, {} to send",
        output::bytes(receive),
        output::bytes(send)
    );
    match receive.min(send) >= GOOD_TCP_BUFFER {
        true => DoctorFinding::ok("buffers", message),
        false => DoctorFinding::warning(
            "buffers",
            format!("{message}: too small for a fast line with a long round trip"),
            larger_buffers(receive, send),
        ),
    }
}

/// The command that raises what is too small, and leaves what is large.
fn larger_buffers(receive: u64, send: u64) -> String {
    let settings = [
        (receive, "net.ipv4.tcp_rmem=4096 131072 16777216\\n"),
        (send, "net.ipv4.tcp_wmem=4096 65536 16777216\\n"),
    ];
    let small = settings.iter().filter(|(size, _)| *size < GOOD_TCP_BUFFER);
    let text: String = small.map(|(_, setting)| *setting).collect();
    format!("printf '{text}' > /etc/sysctl.d/90-tcp-buffers.conf && sysctl --system")
}

fn open_files(limit: Option<u64>) -> DoctorFinding {
    match limit {
        Some(limit) if limit < ENOUGH_FILES => DoctorFinding::warning(
            "files",
            format!("at most {limit} open files in this shell"),
            "ulimit -n 65536; the service sets LimitNOFILE=65536",
        ),
        Some(limit) => DoctorFinding::ok("files", format!("at most {limit} open files")),
        None => DoctorFinding::ok("files", "any number of open files"),
    }
}

#[cfg(test)]
mod tests;
