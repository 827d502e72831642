//! Variables of Go templates and of shells.

use super::*;

fn variables(name: &str) -> Option<String> {
    (name == "HOST").then(|| "r.io".into())
}

#[test]
fn variables_are_filled_or_reported_once() {
    let known = Variables::new(&variables);
    let go = |text| known.fill(text, Syntax::Go, 3, &[(".Sync.Source", "a/b")]);
    assert_eq!(
        go("{{ env \"HOST\" }}/{{.Sync.Source}}").unwrap(),
        "r.io/a/b"
    );
    assert_eq!(go("a{{b").unwrap(), "a{{b");
    assert!(matches!(go("{{ .X }}"), Err(Unfilled::Wrong(_))));
    assert_eq!(go("{{env `NONE`}}/a"), Err(Unfilled::Missing));
    assert_eq!(go("x/{{env `NONE`}}"), Err(Unfilled::Missing));
    let shell = Syntax::Shell;
    let remark = known.remark(&Reader::new("f", &known)).unwrap();
    assert!(remark.text.contains("2 names") && remark.text.contains("--set NONE=…"));
    for (text, filled) in [("$HOST/a", "r.io/a"), ("${HOST}", "r.io"), ("a", "a")] {
        assert_eq!(known.fill(text, shell, 1, &[]).unwrap(), filled);
    }
    assert!(known.fill("${HOST}$", shell, 1, &[]).is_err());
}

#[test]
fn credentials_lie_elsewhere_or_are_plain() {
    let env = Some(Setting::Elsewhere("env", "A".into()));
    let plain = |text: &str| Some(Setting::Password(Sensitive(text.into())));
    for (text, syntax, expected) in [
        ("{{env \"A\"}}", Syntax::Go, env.clone()),
        (
            "{{ file `/x` }}",
            Syntax::Go,
            Some(Setting::Elsewhere("file", "/x".into())),
        ),
        ("{{env \"A\"}}x", Syntax::Go, None),
        ("{{env \"A\" \"B\"}}", Syntax::Go, None),
        ("${A}", Syntax::Shell, env.clone()),
        ("$A", Syntax::Shell, env),
        ("robot$a", Syntax::Shell, None),
        ("robot$a", Syntax::Literal, plain("robot$a")),
        ("robot$a", Syntax::Go, plain("robot$a")),
    ] {
        assert_eq!(credential(text, syntax), expected, "{text}");
    }
}

#[test]
fn tag_templates_hold_the_tag_once() {
    let of = |text| tag(text, ".Ref.Tag");
    assert_eq!(of("backup-{{.Ref.Tag}}").unwrap(), "backup-{tag}");
    assert_eq!(of("{{ .Ref.Tag }}.old").unwrap(), "{tag}.old");
    for wrong in [
        "backup",
        "{{.Ref.Tag}}-{{.Ref.Tag}}",
        "r.io/b:{{.Ref.Tag}}",
        "{{.Ref.Repository}}",
    ] {
        assert_eq!(of(wrong), None, "{wrong}");
    }
}
