//! That no password of a file is ever printed.

use super::{
    Tool::{self, Dregsy, ImageSyncer, Regsync, Skopeo},
    written,
};

const SECRET: &str = "correct-horse-77";

fn base64(text: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    STANDARD.encode(text)
}

/// Files of each tool with a password at each place where one may stand, or is put by mistake.
fn files() -> Vec<(Tool, String, String)> {
    let regsync = |keys: &str| {
        let text = format!(
            "creds:\n- {{registry: q.io, {keys}}}\nsync:\n- {{source: q.io/a, target: r.io/a, type: \
             repository}}\n"
        );
        (Regsync, text, String::new())
    };
    let auth = |keys: &str| {
        let text = format!("q.io: {{{keys}}}\nq.io/part: {{{keys}1}}\n");
        (ImageSyncer, "q.io/a/a: r.io/a/a\n".into(), text)
    };
    let json = base64(&format!(
        "{{\"username\": \"u\", \"password\": \"{SECRET}\"}}"
    ));
    let dregsy = |auth: &str| {
        let text = format!(
            "tasks:\n- name: t\n  source: {{registry: q.io, auth: '{auth}'}}\n  target: {{registry: \
             r.io}}\n  mappings: [{{from: a/a}}]\n"
        );
        (Dregsy, text, String::new())
    };
    let skopeo = |keys: &str| {
        let text = format!("q.io:\n  images: {{a: []}}\n  credentials: {{{keys}}}\n");
        (Skopeo, text, String::new())
    };
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
        dregsy(&json),
        dregsy(&base64(SECRET)),
        dregsy(SECRET),
        skopeo(&format!("username: u, password: {SECRET}")),
        skopeo(&format!("password: {SECRET}, identitytoken: {SECRET}")),
    ]
}

#[test]
fn no_password_reaches_the_output_or_a_warning() {
    for (tool, text, auth) in files() {
        let target = (tool == Skopeo).then_some("r.io");
        let written = written(tool, &text, target, &auth);
        let shown = format!("{written:?}");
        for form in [SECRET.to_owned(), base64(SECRET)] {
            assert!(!shown.contains(&form), "{shown}");
        }
    }
}

#[test]
fn each_password_gets_a_variable_of_its_own() {
    let text = "creds:\n\
                - {registry: 'a-b.io', user: u, pass: p}\n\
                - {registry: 'a.b.io', user: u, pass: p}\n\
                - {registry: '10.0.0.1:5000', user: u, pass: p}\n\
                - {registry: 'env.io', user: u, pass: '{{env \"OWN\"}}'}\n\
                sync:\n- {source: q.io/a, target: r.io/a, type: repository}\n";
    let written = written(Regsync, text, None, "");
    let names: Vec<&str> = written
        .variables
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "A_B_IO_PASSWORD",
            "A_B_IO_PASSWORD_2",
            "REGISTRY_10_0_0_1_5000_PASSWORD"
        ]
    );
    for name in names.iter().chain(&["OWN"]) {
        assert!(
            written
                .text
                .contains(&format!("password = {{ env = \"{name}\" }}"))
        );
    }
}
