//! How many faults the tests inject, for whoever wants to know: `TRANSSHIP_FAULTS` names a file that gets a byte for each.

use std::fs::OpenOptions;
use std::io::Write as _;

/// A fault was injected: an answer that is not the registry's own, or a connection that was broken.
pub fn injected() {
    let Some(path) = std::env::var_os("TRANSSHIP_FAULTS") else {
        return;
    };
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut file| file.write_all(b".")).unwrap();
}
