//! That no password of a file is printed.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Tool::*, *};

const SECRET: &str = "correct-horse-77";

/// Files with a password at each place where one may stand, or is put by mistake.
fn files() -> Vec<(Tool, String, String)> {
    let regsync = |keys: &str| {
        let step = "{source: q.io/a, target: r.io/a, type: repository}";
        let text = format!("creds:\n- {{registry: q.io, {keys}}}\nsync:\n- {step}\n");
        (Regsync, text, String::new())
    };
    let auth = |keys: &str| {
        let text = format!("q.io: {{{keys}}}\nq.io/part: {{{keys}1}}\n");
        (ImageSyncer, "q.io/a/a: r.io/a/a\n".to_owned(), text)
    };
    let dregsy = |auth: String| {
        let source = format!("{{registry: q.io, auth: '{auth}'}}");
        let task =
            format!("source: {source}, target: {{registry: r.io}}, mappings: [{{from: a/a}}]");
        (
            Dregsy,
            format!("tasks:\n- {{name: t, {task}}}\n"),
            String::new(),
        )
    };
    let skopeo = |keys: &str| {
        let text = format!("q.io: {{images: {{a: []}}, credentials: {{{keys}}}}}\n");
        (Skopeo, text, "r.io".to_owned())
    };
    let json = format!("{{\"username\": \"u\", \"password\": \"{SECRET}\"}}");
    vec![
        regsync(&format!("user: u, pass: {SECRET}")),
        regsync(&format!("pass: {SECRET}")),
        regsync(&format!("user: u, pass: 'x{{{{{SECRET}}}}}'")),
        regsync(&format!("user: '{{{{env \"U\"}}}}', pass: {SECRET}")),
        regsync(&format!(
            "clientKey: {SECRET}, token: {SECRET}, pasword: {SECRET}"
        )),
        auth(&format!("username: u, password: {SECRET}")),
        auth(&format!("username: $U, password: {SECRET}")),
        dregsy(STANDARD.encode(json)),
        dregsy(STANDARD.encode(SECRET)),
        dregsy(SECRET.into()),
        skopeo(&format!("username: u, password: {SECRET}")),
        skopeo(&format!("password: {SECRET}, identitytoken: {SECRET}")),
    ]
}

#[test]
fn no_password_reaches_the_output_or_a_remark() {
    for (tool, text, more) in files() {
        let shown = format!("{:?}", rendered(tool, &text, &more, None));
        for form in [SECRET.to_owned(), STANDARD.encode(SECRET)] {
            assert!(!shown.contains(&form), "{shown}");
        }
    }
}

#[test]
fn each_password_gets_a_variable() {
    let text = "creds:\n\
                - {registry: 'a-b.io', user: u, pass: p}\n\
                - {registry: 'a.b.io', user: u, pass: p}\n\
                - {registry: '10.0.0.1:5000', user: u, pass: p}\n\
                sync:\n- {source: q.io/a, target: r.io/a, type: repository}\n";
    let rendered = rendered(Regsync, text, "", None);
    let names = rendered
        .variables
        .iter()
        .map(|variable| variable.name.as_str());
    let expected = [
        "A_B_IO_PASSWORD",
        "A_B_IO_PASSWORD_2",
        "REGISTRY_10_0_0_1_5000_PASSWORD",
    ];
    assert_eq!(names.collect::<Vec<_>>(), expected);
}
