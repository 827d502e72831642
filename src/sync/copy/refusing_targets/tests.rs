use crate::{
    registry::{self, Kind},
    sync::{Error, copy::refusing_targets::*},
};

fn failing(target: &RegistryName, kind: Kind) -> Error {
    registry::Error::new(registry::Operation::UploadBlob, "x", target, kind).into()
}

#[test]
fn leaves_a_full_target_alone_after_a_few_answers() {
    let [full, other]: [RegistryName; 2] = ["a.example", "b.example"].map(|n| n.parse().unwrap());
    let targets = RefusingTargets::default();
    for _ in 0..ENOUGH {
        assert!(targets.check(&full).is_ok());
        targets.note(&failing(
            &full,
            Kind::DiskFull("no space left on device".into()),
        ));
    }
    assert_eq!(
        targets.check(&full).unwrap_err().class().as_str(),
        "disk_full"
    );
    assert!(targets.check(&other).is_ok());
}

#[test]
fn keeps_a_target_that_refuses_one_thing() {
    let target: RegistryName = "a.example".parse().unwrap();
    let targets = RefusingTargets::default();
    for _ in 0..9 {
        targets.note(&failing(&target, Kind::Denied("no".into())));
    }
    assert!(targets.check(&target).is_ok());
}
