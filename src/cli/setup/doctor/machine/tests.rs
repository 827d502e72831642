use std::fs;

use super::*;
use crate::cli::setup::doctor::finding::DoctorVerdict;

/// A folder that looks like `/proc/sys/net`.
fn sysctl(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("ipv4")).unwrap();
    for (name, text) in files {
        fs::write(folder.path().join("ipv4").join(name), text).unwrap();
    }
    folder
}

#[tokio::test]
async fn damaged_store_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("state.db");
    assert_eq!(usable_store(&store).await.verdict, DoctorVerdict::Ok);
    fs::write(&store, [0, 7].repeat(20_000)).unwrap();
    let finding = usable_store(&store).await;
    assert_eq!(finding.verdict, DoctorVerdict::Warning);
    assert!(finding.remedy.unwrap().contains("transship sync"));
}

#[test]
fn cubic_is_a_warning_with_the_commands() {
    let net = sysctl(&[
        ("tcp_congestion_control", "cubic\n"),
        ("tcp_available_congestion_control", "reno cubic\n"),
    ]);
    let finding = congestion_control(net.path());
    assert_eq!(finding.verdict, DoctorVerdict::Warning);
    assert!(finding.remedy.unwrap().contains("modprobe tcp_bbr"));
}

#[test]
fn bbr_is_well() {
    let net = sysctl(&[("tcp_congestion_control", "bbr\n")]);
    assert_eq!(congestion_control(net.path()).verdict, DoctorVerdict::Ok);
}

#[test]
fn small_buffers_are_a_warning() {
    let small = sysctl(&[
        ("tcp_rmem", "4096 131072 6291456\n"),
        ("tcp_wmem", "4096 16384 4194304\n"),
    ]);
    assert_eq!(buffers(small.path()).verdict, DoctorVerdict::Warning);
    let large = sysctl(&[
        ("tcp_rmem", "4096 131072 16777216\n"),
        ("tcp_wmem", "4096 16384 16777216\n"),
    ]);
    assert_eq!(buffers(large.path()).verdict, DoctorVerdict::Ok);
    assert_eq!(buffers(sysctl(&[]).path()).verdict, DoctorVerdict::Skipped);
}

#[test]
fn remedy_lowers_no_buffer() {
    let net = sysctl(&[
        ("tcp_rmem", "4096 131072 33554432\n"),
        ("tcp_wmem", "4096 16384 4194304\n"),
    ]);
    let remedy = buffers(net.path()).remedy.unwrap();
    assert!(
        remedy.contains("tcp_wmem") && !remedy.contains("tcp_rmem"),
        "{remedy}"
    );
}

#[test]
fn few_open_files_are_a_warning() {
    assert_eq!(open_files(Some(1024)).verdict, DoctorVerdict::Warning);
    assert_eq!(open_files(Some(65_536)).verdict, DoctorVerdict::Ok);
    assert_eq!(open_files(None).verdict, DoctorVerdict::Ok);
}

#[tokio::test]
async fn missing_folder_of_the_store_fails_with_a_remedy() {
    let finding = usable_store(Path::new("/nonexistent/state.db")).await;
    assert_eq!(finding.verdict, DoctorVerdict::Failed);
    assert!(finding.remedy.unwrap().contains("mkdir"));
}

#[test]
fn port_in_use_fails_unless_the_daemon_runs() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    let taken = listener("http", address, &Holder::None);
    assert_eq!(taken.verdict, DoctorVerdict::Failed);
    let daemon = Holder::Running {
        process: "1".into(),
        address: Some(address),
    };
    assert_eq!(
        listener("http", address, &daemon).verdict,
        DoctorVerdict::Ok
    );
    drop(other);
    let free = listener("http", address, &Holder::None);
    assert_eq!(free.verdict, DoctorVerdict::Ok);
}

#[test]
fn address_of_another_machine_fails() {
    let foreign = "192.0.2.1:9618".parse().unwrap();
    let finding = listener("http", foreign, &Holder::None);
    assert_eq!(finding.verdict, DoctorVerdict::Failed);
}
