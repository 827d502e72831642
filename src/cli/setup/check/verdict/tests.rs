use crate::{
    cli::setup::check::verdict::*,
    registry::{Kind, Operation},
};

fn error(kind: Kind) -> Error {
    let name = "r.example.com".parse().unwrap();
    Error::new(Operation::StartUpload, "x", &name, kind)
}

fn target(pushed: Result<(), Error>) -> RegistryReport {
    let findings = Findings {
        identity: Some(Identity {
            who: "as `robot`".into(),
            has_login: true,
            is_asked_for: true,
            is_secure: true,
        }),
        pushed: Some(("r.example.com/a".into(), pushed)),
        ..Findings::unreachable(Reachability::Reachable)
    };
    report(&"r.example.com".parse().unwrap(), false, true, &findings)
}

#[test]
fn refused_login_is_no_push_failure() {
    let refused = target(Err(error(Kind::Unauthorized("no".into()))));
    let failed = |report: &RegistryReport| -> Vec<&str> {
        let checks = report.checks.iter();
        let failed = checks.filter(|check| check.verdict == CheckVerdict::Failed);
        failed.map(|check| check.check).collect()
    };
    assert_eq!(failed(&refused), ["login"]);
    let denied = target(Err(error(Kind::Denied("no".into()))));
    assert_eq!(failed(&denied), ["push"]);
}

#[test]
fn the_exit_status_is_that_of_the_worst() {
    let good = || target(Ok(()));
    let refused = || target(Err(error(Kind::Unauthorized("no".into()))));
    let denied = || target(Err(error(Kind::Denied("no".into()))));
    assert_eq!(exit(&[good(), good()]), Exit::Ok);
    assert_eq!(exit(&[good(), denied()]), Exit::SomeFailed);
    assert_eq!(exit(&[denied(), denied()]), Exit::AllFailed);
    assert_eq!(exit(&[good(), denied(), refused()]), Exit::Unauthorized);
}

#[test]
fn every_failure_is_printed_with_its_remedy() {
    let lines = lines(&[target(Err(error(Kind::Denied("no".into()))))]);
    assert_eq!(lines[0], "r.example.com (target)");
    let at = lines
        .iter()
        .position(|line| line.contains("FAILED"))
        .unwrap();
    assert!(
        lines[at].starts_with("  push   FAILED  access denied"),
        "{lines:#?}"
    );
    assert!(
        lines[at + 1]
            .trim_start()
            .starts_with("help: let the account push")
    );
}
