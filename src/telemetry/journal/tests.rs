use tracing_subscriber::{Registry, layer::SubscriberExt as _};

use crate::telemetry::journal::*;

/// What journald gets of what is logged.
fn received(log: impl FnOnce()) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let journal = UnixDatagram::bind(&path).unwrap();
    let layer = JournalLayer::connect(&path).unwrap();
    tracing::subscriber::with_default(Registry::default().with(layer), log);
    let mut bytes = vec![0; 1 << 20];
    let length = journal.recv(&mut bytes).unwrap();
    String::from_utf8(bytes[..length].to_vec()).unwrap()
}

#[test]
fn journal_gets_message_priority_and_fields() {
    let said = received(|| {
        let name = "nginx";
        tracing::warn!(mirror = %name, copied = 3, "run ended");
    });
    assert_eq!(
        said,
        "PRIORITY=4\nSYSLOG_IDENTIFIER=transship\nMESSAGE=run ended mirror=nginx copied=3\n\
         TRANSSHIP_MIRROR=nginx\nTRANSSHIP_COPIED=3\n"
    );
}

#[test]
fn journal_gets_lines_with_their_length() {
    let said = received(|| tracing::error!("two\nlines"));
    assert!(
        said.contains("MESSAGE\n\u{9}\0\0\0\0\0\0\0two\nlines\n"),
        "{said:?}"
    );
    assert!(said.starts_with("PRIORITY=3\n"));
}

#[test]
fn journal_gets_no_line_that_is_too_large() {
    let said = received(|| tracing::info!("{}", "长".repeat(100_000)));
    assert!(said.len() < 66_000, "{}", said.len());
}
