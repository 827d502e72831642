use crate::store::locks::process::*;

#[test]
fn reused_process_id_is_another_process() {
    let own = own().unwrap();
    assert!(lives(&own));
    let mut child = process::Command::new("sleep").arg("60").spawn().unwrap();
    let other = name(&child.id().to_string()).unwrap();
    assert!(lives(&other));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!lives(&other));
    let (boot_and_id, _) = own.rsplit_once(' ').unwrap();
    assert!(!lives(&format!("{boot_and_id} 1")));
    let (_, id_and_start) = own.split_once(' ').unwrap();
    assert!(!lives(&format!("another-boot {id_and_start}")));
}

#[test]
fn what_is_no_name_of_a_process_lives_not() {
    for text in ["", "1", "boot self 1", "boot ../../etc 1", "boot"] {
        assert!(!lives(text), "{text}");
    }
}
