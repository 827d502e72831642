//! Files of each tool, and what is made of them.

mod losses;
mod secrets;

use super::*;

/// Imports a file. `more` is a target, or the logins of image-syncer.
#[track_caller]
fn rendered(tool: Tool, text: &str, more: &str, host: Option<&str>) -> Rendered {
    let options = Options {
        target: (tool == Tool::Skopeo).then_some(more),
        variables: Some(&|_| host.map(String::from)),
        ..Options::default()
    };
    let named = |name, text| Input { name, text };
    let imported = import(named("in.yml", text), None, &options);
    let mut imported = imported.unwrap_or_else(|error| panic!("{error}"));
    if tool == Tool::ImageSyncer && !more.is_empty() {
        imported.add_logins(named("auth.yml", more)).unwrap();
    }
    assert_eq!(imported.tool(), tool);
    imported.render(&|_| Vec::new())
}

/// Fails unless these lines and no others are reported as left out, in these words.
#[track_caller]
fn assert_losses(rendered: &Rendered, expected: &[(usize, &str)]) {
    let losses = rendered.remarks.iter().filter(|remark| remark.is_loss);
    let losses: Vec<_> = losses.map(|loss| (loss.place.line, &loss.text)).collect();
    assert_eq!(losses.len(), expected.len(), "{losses:#?}");
    for ((line, text), (wanted, words)) in losses.iter().zip(expected) {
        let is_expected = line == wanted && text.contains(words);
        assert!(is_expected, "{line} {text}, not {wanted} {words}");
        let words: Vec<&str> = text.split(' ').collect();
        let comments = rendered.toml.replace("\n# ", " ");
        assert!(comments.contains(&words.join(" ")), "{text}\n{comments}");
    }
}

/// A company's file, with most of what regsync offers.
const COMPANY: &str = r#"
x-keep: &keep "before-{{ .Ref.Tag }}"
version: 1
creds:
  - {registry: harbor.example, user: robot$mirror, pass: literal, reqPerSec: 12.5, blobChunk: 8388608}
  - {registry: docker.io, user: '{{env "HUB_USER"}}', pass: '{{ file "/run/hub" }}'}
  - {registry: "old.example:5000", tls: disabled, hostname: "10.0.0.1:5000", reqConcurrent: 6}
defaults: {interval: 45m, backup: *keep}
sync:
  - {source: "busybox:1.36", target: "harbor.example/hub/library/busybox:1.36", type: image}
  - {source: "nginx:1.27", target: "harbor.example/hub/library/nginx:1.27-mirror", type: image}
  - {source: "redis:8", target: "harbor.example/hub/library/redis:stable", type: image}
  - source: alpine
    target: harbor.example/hub/library/alpine
    type: repository
    tags: {allow: ["edge", "3", '3\.\d+'], deny: ['3\.0', '3\.1\d']}
  - source: quay.io/prometheus/prometheus
    target: harbor.example/monitoring/prometheus
    type: repository
    platforms: [linux/amd64, linux/arm64]
    referrers: true
    tagSets:
      - allow: [latest]
      - {semverRange: [">=2.50 <3.0"], allow: ['v\d+\.\d+\.\d+']}
  - source: old.example:5000
    target: harbor.example/old
    type: registry
    repos: {allow: ["team/.*"], deny: ["team/secret.*"]}
"#;

#[test]
fn output_reads_as_if_a_person_had_written_it() {
    let rendered = rendered(Tool::Regsync, COMPANY, "", None);
    assert_losses(&rendered, &[]);
    let (_, body) = rendered.toml.split_once("\n\n[").unwrap();
    insta::assert_snapshot!(format!("[{body}"));
}

#[test]
fn hosts_come_from_variables() {
    let text = r#"
creds: [{registry: '{{ env "REG" }}', user: '{{ env "USER" }}', pass: '{{ env "PASSWORD" }}'}]
defaults:
  interval: 1h
  mediaTypes:
    - application/vnd.docker.distribution.manifest.v2+json
    - application/vnd.docker.distribution.manifest.list.v2+json
    - application/vnd.oci.image.manifest.v1+json
    - application/vnd.oci.image.index.v1+json
sync:
  - {source: a/b, target: '{{ env "REG" }}/a/b', type: repository, tags: {allow: [v1.0, ~, 3.6.0]}}
  - {source: a/c, target: '{{ env "REG" }}/a/c', type: repository, tags: {allow: [~]}}
"#;
    let without = rendered(Tool::Regsync, text, "", None);
    assert_losses(&without, &[(2, "3 names hold a variable without a value")]);
    let with = rendered(Tool::Regsync, text, "", Some("r.example"));
    assert_losses(&with, &[(12, "`allow` selects no tag")]);
    for line in [
        "[registries.\"r.example\"]\nusername = { env = \"USER\" }\npassword = { env = \"PASSWORD\" }",
        "target = \"r.example\"\npath = \"{repository}\"\nevery = \"1h\"",
        "from = \"docker.io/a/b\"\ntags = [\"v1.0\", \"3.6.0\"]",
    ] {
        assert!(with.toml.contains(line), "{}", with.toml);
    }
}

#[test]
fn refused_lines_become_comments_with_the_reason() {
    let text = "q.io/a/a: r.io/a/a\nq.io/a/b: r.io/a/b\n";
    let input = Input { name: "in", text };
    let imported = import(input, None, &Options::default()).unwrap();
    let rendered = imported.render(&|toml| {
        let lines = toml.lines().enumerate();
        let wrong = lines.filter(|(_, line)| !line.starts_with('#') && line.contains("a/b"));
        let refusal = |(at, _)| Refusal {
            line: at + 1,
            reason: "b is bad".into(),
        };
        wrong.map(refusal).collect()
    });
    assert_losses(&rendered, &[(2, "b is bad")]);
    let [kept, comment] = [
        "\n[[mirror]]\nfrom = \"q.io/a/a\"\n",
        "# [[mirror]]\n# from = \"q.io/a/b\"\n",
    ];
    assert!(
        rendered.toml.contains(kept) && rendered.toml.contains(comment),
        "{}",
        rendered.toml
    );
}

#[test]
fn many_tags_are_several_lines_of_from() {
    let tags: Vec<String> = (1..=13).map(|tag| tag.to_string()).collect();
    let text = format!("q.io/a/b:{}: r.io/a/b\n", tags.join(","));
    let toml = rendered(Tool::ImageSyncer, &text, "", None).toml;
    let from = "\"q.io/a/b:{1,2,3,4,5,6,7,8,9,10,11,12}\",\n    \"q.io/a/b:13\",\n";
    assert!(toml.contains(from), "{toml}");
}
