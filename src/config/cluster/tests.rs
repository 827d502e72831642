use std::path::Path;

use secrecy::ExposeSecret as _;

use crate::config::{Config, LoadOptions};

const MIRROR: &str =
    "[[mirror]]\nfrom = \"s.example/app\"\ntarget = \"t.example/m\"\ntags = \"*\"\n";
const CLUSTER: &str = "[cluster]\ndatabase = \"postgres://u:hush@db.example/transship\"\n";

fn parse(text: &str) -> Result<Config, String> {
    let parsed = Config::parse(Path::new("/nonexistent/mirror.toml"), text);
    parsed.map_err(|error| error.to_string())
}

fn worker(text: &str, shared: Option<&str>) -> Result<Config, String> {
    let path = Path::new("/nonexistent/mirror.toml");
    let parsed = Config::parse_worker(path, text, shared, LoadOptions::default());
    parsed.map_err(|error| error.to_string())
}

#[test]
fn no_table_is_one_machine() {
    assert!(parse(MIRROR).unwrap().cluster.is_none());
}

#[test]
fn reads_every_key() {
    let keys = "name = \"hk-1\"\negress = \"hk\"\nsources = [\"docker.io\", \"quay.io\"]\ntargets = \"t.example:5000\"\n";
    let config = parse(&format!("{CLUSTER}{keys}{MIRROR}")).unwrap();
    let cluster = config.cluster.unwrap();
    assert!(
        cluster
            .database
            .expose_secret()
            .starts_with("postgres://u:")
    );
    assert_eq!((&*cluster.name, &*cluster.egress), ("hk-1", "hk"));
    assert_eq!(cluster.sources.len(), 2);
    assert_eq!(cluster.targets[0].as_str(), "t.example:5000");
}

#[test]
fn egress_is_the_name_by_default() {
    let config = parse(&format!("{CLUSTER}name = \"hk-1\"\n{MIRROR}")).unwrap();
    assert_eq!(config.cluster.unwrap().egress, "hk-1");
}

#[test]
fn mistakes_have_places_and_remedies() {
    for (table, expected) in [
        ("[cluster]\nname = \"a\"\n", "names no `database`"),
        (
            "[cluster]\nname = \"a\"\ndatabase = \"mysql://db/transship\"\n",
            "not the URL of a PostgreSQL",
        ),
        (
            "[cluster]\nname = \"a b\"\ndatabase = \"postgres://db/t\"\n",
            "cannot be the `name`",
        ),
        (
            "[cluster]\nname = \"a\"\ndatabase = \"postgres://db/t\"\nsources = [\"https://x\"]\n",
            "write the host",
        ),
        (
            "[cluster]\nname = \"a\"\ndatabse = \"postgres://db/t\"\n",
            "`database`",
        ),
    ] {
        let error = parse(&format!("{table}{MIRROR}")).unwrap_err();
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("help:"), "{error}");
    }
}

#[test]
fn messages_do_not_show_the_password() {
    let error = parse(&format!("{CLUSTER}name = \"a b\"\n{MIRROR}")).unwrap_err();
    assert!(!error.contains("hush"), "{error}");
}

#[test]
fn worker_needs_no_mirrors() {
    let config = worker(CLUSTER, None).unwrap();
    assert!(config.mirrors.is_empty());
    assert!(parse(CLUSTER).is_ok());
}

#[test]
fn worker_runs_the_published_mirrors() {
    let published = parse(&format!(
        "timezone = \"Asia/Shanghai\"\n{CLUSTER}[defaults]\njitter = \"0s\"\n{MIRROR}"
    ));
    let shared = published.unwrap().shared_text().unwrap();
    assert!(!shared.contains("hush"), "{shared}");
    let own = format!(
        "{CLUSTER}[http]\nlisten = \"127.0.0.1:1\"\n[[mirror]]\nfrom = \"s.example/own\"\ntarget = \"t.example/m\"\ntags = \"*\"\n"
    );
    let config = worker(&own, Some(&shared)).unwrap();
    assert_eq!(config.timezone, chrono_tz::Asia::Shanghai);
    assert_eq!(config.http.listen.port(), 1);
    let sources: Vec<String> = config
        .mirrors
        .iter()
        .flat_map(|mirror| &mirror.routes)
        .map(|route| route.source.to_string())
        .collect();
    assert_eq!(sources, ["s.example/app"]);
    assert!(config.mirrors[0].jitter.is_zero());
}

#[test]
fn published_text_is_the_same_for_the_same_mirrors() {
    let text = |other: &str| {
        let text = format!("# a comment\n{CLUSTER}{other}\n{MIRROR}");
        parse(&text).unwrap().shared_text().unwrap()
    };
    assert_eq!(text(""), text("[state]\npath = \"/x\"\n"));
}

#[test]
fn published_mirrors_of_a_newer_version_are_refused() {
    let shared = format!("{MIRROR}unheard_of = 1\n");
    let error = worker(CLUSTER, Some(&shared)).unwrap_err();
    assert!(error.contains("unheard_of"), "{error}");
    assert!(error.contains("published"), "{error}");
}
