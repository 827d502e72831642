//! image-syncer's files.

use super::{Tool::ImageSyncer, assert_losses, made, made_with, written};

const IMAGES: &str = "
quay.io/coreos/kube-rbac-proxy: registry.cn-beijing.aliyuncs.com/acme/kube-rbac-proxy
quay.io/coreos/kube-rbac-proxy:v0.14.0: registry.cn-beijing.aliyuncs.com/acme/kube-rbac-proxy
registry.k8s.io/coredns/coredns:v1.11.1,v1.11.3:
  - registry.cn-beijing.aliyuncs.com/acme/coredns
  - harbor.corp.example/k8s/coredns
nginx:/^1\\.2[5-7]/: registry.cn-beijing.aliyuncs.com/acme/nginx
quay.io/acme/tool:/v[0-9]+/: registry.cn-beijing.aliyuncs.com/acme/tool
redis:7,8: registry.cn-beijing.aliyuncs.com/acme/redis:7-mirror,8-mirror
";

#[test]
fn tags_lists_and_expressions_are_carried_over_whole() {
    let made = made(ImageSyncer, IMAGES);
    assert_losses(&made.written, &[]);
    let acme = "registry.cn-beijing.aliyuncs.com/acme";
    let proxy = "quay.io/coreos/kube-rbac-proxy";
    assert_eq!(
        made.takes(proxy, "v0.14.0"),
        [format!("{acme}/kube-rbac-proxy:v0.14.0")]
    );
    assert_eq!(
        made.takes(proxy, "any"),
        [format!("{acme}/kube-rbac-proxy:any")]
    );
    assert_eq!(
        made.takes("registry.k8s.io/coredns/coredns", "v1.11.3"),
        [
            "harbor.corp.example/k8s/coredns:v1.11.3".to_owned(),
            format!("{acme}/coredns:v1.11.3")
        ]
    );
    assert_eq!(made.takes("redis", "8"), [format!("{acme}/redis:8-mirror")]);
    for (source, tag, is_taken) in [
        ("nginx", "1.27-alpine", true),
        ("nginx", "1.28", false),
        ("nginx", "x1.27", false),
        // An expression that is not bound is searched for.
        ("quay.io/acme/tool", "rev12-x", true),
        ("quay.io/acme/tool", "latest", false),
    ] {
        assert_eq!(
            !made.takes(source, tag).is_empty(),
            is_taken,
            "{source}:{tag}"
        );
    }
}

#[test]
fn several_targets_of_one_source_are_pulled_for_once() {
    let made = made(ImageSyncer, IMAGES);
    let routes = made.routes();
    let coredns = routes
        .iter()
        .find(|route| route.contains("coredns"))
        .unwrap();
    for host in ["registry.cn-beijing.aliyuncs.com", "harbor.corp.example"] {
        assert!(coredns.contains(host), "{coredns}");
    }
}

#[test]
fn the_older_single_file_is_read_as_json() {
    let text = r#"{
	"auth": {
		"quay.io": {"username": "robot", "password": "secret-one"},
		"127.0.0.1:5000": {"insecure": true}
	},
	"images": {
		"quay.io/acme/tool:1": "127.0.0.1:5000/acme/tool"
	}
}"#;
    let made = made(ImageSyncer, text);
    assert_losses(&made.written, &[]);
    assert_eq!(
        made.routes(),
        ["quay.io/acme/tool:1 -> 127.0.0.1:5000/acme/tool"]
    );
    assert!(
        made.config
            .registry(&"127.0.0.1:5000".parse().unwrap())
            .plain_http
    );
    assert!(made.written.text.contains("username = \"robot\""));
}

#[test]
fn a_namespace_s_login_serves_where_the_registry_has_none() {
    let auth = "quay.io/coreos: {username: a, password: p1}\nghcr.io: {username: b, password: p2}\n\
                ghcr.io/acme: {username: c, password: p3}\nghcr.io/b: {username: b, password: p2}\n";
    let written = written(ImageSyncer, "quay.io/a/b: r.io/a/b\n", None, auth);
    assert_losses(&written, &[(3, "the login of ghcr.io/acme")]);
    let notes = written.remarks.iter().filter(|remark| !remark.is_loss);
    assert!(
        notes
            .clone()
            .any(|remark| remark.text.contains("all of quay.io"))
    );
    assert!(
        written.text.contains("username = \"b\"") && !written.text.contains("username = \"c\"")
    );
}

/// Robots of Harbor have a `$` in their names, and the older file takes it as it stands.
#[test]
fn a_dollar_is_a_variable_in_the_file_of_logins_alone() {
    let auth = "r.io: {username: robot$a, password: p}\nq.io: {username: u, password: '${PW}'}\n\
                s.io: {username: u, password: 'a$b'}\n";
    let two = written(ImageSyncer, "quay.io/a/b: r.io/a/b\n", None, auth);
    assert_losses(&two, &[(1, "is a variable"), (3, "has one in it")]);
    assert!(
        two.text.contains("# left out, auth.yml line 1: "),
        "{}",
        two.text
    );
    assert!(two.text.contains("password = { env = \"PW\" }"));
    let text =
        "auth: {r.io: {username: robot$a, password: $PW}}\nimages: {quay.io/a/b: r.io/a/b}\n";
    let one = written(ImageSyncer, text, None, "");
    assert_losses(&one, &[]);
    assert!(one.text.contains("username = \"robot$a\""));
    assert!(one.text.contains("password = { env = \"R_IO_PASSWORD\" }"));
}

#[test]
fn an_empty_target_is_what_image_syncer_was_started_with() {
    let text = "quay.io/a/b:1: ''\nquay.io/c/d: r.io/x/d\n";
    let with = made_with(ImageSyncer, text, Some("r.io/acme"), "");
    assert_eq!(
        with.routes(),
        ["quay.io/a/b:1 -> r.io/acme/b", "quay.io/c/d -> r.io/x/d"]
    );
    let without = made(ImageSyncer, text);
    assert_losses(&without.written, &[(1, "--target REGISTRY/NAMESPACE")]);
}

#[test]
fn what_cannot_be_carried_over_is_told_twice_with_its_line() {
    let digest = "0".repeat(64);
    let text = format!(
        "quay.io/a/a@sha256:{digest}: r.io/a/a\n\
         quay.io/a/b: r.io/a/b:1\n\
         quay.io/a/c:1: r.io/a/c:stable\n\
         quay.io/a/d: $REGISTRY/a/d\n\
         quay.io/a/e: registry.cn-beijing.aliyuncs.com/a/deep/e\n\
         quay.io/a/f:/(/: r.io/a/f\n\
         quay.io/a/ok: r.io/a/ok\n"
    );
    let made = made(ImageSyncer, &text);
    assert_losses(
        &made.written,
        &[
            (1, "never moves"),
            (2, "the target has tags"),
            (3, "cannot call 1 stable"),
            (4, "variable"),
            (5, "namespace/repository and nothing else"),
            (6, "regular expression"),
        ],
    );
    assert_eq!(made.routes(), ["quay.io/a/ok -> r.io/a/ok"]);
}

/// `[defaults]` names a target where one of many does not fit: that one alone is left out.
#[test]
fn one_name_that_a_registry_refuses_does_not_take_the_others_with_it() {
    let text = "quay.io/a/b: registry.cn-beijing.aliyuncs.com/acme/b\n\
                quay.io/a/c: registry.cn-beijing.aliyuncs.com/acme/c\n\
                quay.io/a/x/d: registry.cn-beijing.aliyuncs.com/acme/a/x/d\n\
                quay.io/a/x/e: registry.cn-beijing.aliyuncs.com/a/x/e\n";
    let made = made(ImageSyncer, text);
    assert_eq!(made.losses().len(), 2, "{:?}", made.losses());
    assert_eq!(made.routes().len(), 2, "{:?}", made.routes());
}
