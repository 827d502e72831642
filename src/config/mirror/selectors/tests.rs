use crate::config::tests::report;

fn said(keys: &str) -> String {
    let text = format!("[[mirror]]\nfrom = \"quay.io/a/b\"\ntarget = \"r.example.com\"\n{keys}\n");
    let records = report(&text).records();
    assert_eq!(records.len(), 1, "{records:?}");
    let record = &records[0];
    format!("{}: {} | {}", record.line, record.message, record.remedy)
}

#[test]
fn min_tags_above_latest_refuses_every_selection() {
    let said = said("tags = \"*\"\nlatest = 3\nmin_tags = 5");
    assert!(
        said.starts_with("6: `min_tags` is above `latest`, so every selection is refused | write"),
        "{said}"
    );
}

#[test]
fn tag_in_the_place_of_tags() {
    for keys in [
        "tag = [\"v1\"]\ntags = \"*\"",
        "tag = \"v1.*\"\ntags = \"*\"",
    ] {
        let said = said(keys);
        assert!(said.contains("did you mean `tags"), "{said}");
    }
}

#[test]
fn unknown_words_for_referrers() {
    for word in ["sbom", "signatures", "cosign", "yes"] {
        let said = said(&format!("tags = \"*\"\nreferrers = \"{word}\""));
        assert!(
            said.contains("no artifact type") && said.contains("\".sig\""),
            "{said}"
        );
    }
}

#[test]
fn prune_is_no_switch() {
    let said = said("tags = \"*\"\nprune = true");
    assert!(said.contains("write prune = { after = \"7d\" }"), "{said}");
}

#[test]
fn names_the_table_of_a_misplaced_key() {
    let said = said("tags = \"*\"\ntimezone = \"UTC\"");
    assert!(
        said.contains("move it to the top of the file, above the first [table]"),
        "{said}"
    );
}

#[test]
fn web_addresses_of_docker_hub() {
    for (from, expected) in [
        ("hub.docker.com/_/nginx", "\"docker.io/library/nginx\""),
        (
            "hub.docker.com/r/grafana/loki",
            "\"docker.io/grafana/loki\"",
        ),
        (
            "https://hub.docker.com/r/grafana/loki/tags",
            "\"docker.io/grafana/loki\"",
        ),
        (
            "https://quay.io/repository/prometheus/node-exporter",
            "\"quay.io/prometheus/node-exporter\"",
        ),
        ("https://ghcr.io/a/b", "\"ghcr.io/a/b\""),
    ] {
        let text =
            format!("[[mirror]]\nfrom = \"{from}\"\ntarget = \"r.example.com\"\ntags = \"*\"\n");
        let record = report(&text).records().remove(0);
        assert!(
            record.remedy.contains(expected),
            "{} | {}",
            record.message,
            record.remedy
        );
    }
}

#[test]
fn names_of_one_line() {
    let said = said("tags = \"*\"\nname = \"a\\nb\"");
    assert!(said.contains("more than one line"), "{said}");
}

#[test]
fn a_schedule_of_every_second() {
    let said = said("tags = \"*\"\nschedule = \"* * * * * *\"");
    assert!(said.contains("it fires every second | write"), "{said}");
}
