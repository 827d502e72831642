use super::*;

const FILE: &str = "[state]\ndrain = \"60s\"\n[http]\ntoken = \"long-enough-a-token\"\n\
    [limits]\nbandwidth = \"20 MiB/s\"\n[report]\nat = \"09:07\"\n\
    [notify.ops]\nkind = \"webhook\"\nurl = \"https://h.example/one\"\nsecret = \"hush-hush\"\n\
    [[mirror]]\nname = \"app\"\nfrom = \"s.example/app:1\"\ntarget = \"t.example/m\"\n";

/// What is said of an edit.
fn said(from: &str, to: &str) -> Vec<String> {
    let parse = |text: &str| {
        let config = Config::parse(Path::new("mirror.toml"), text);
        config.unwrap_or_else(|error| panic!("{error}"))
    };
    let edited = FILE.replace(from, to);
    assert!(from.is_empty() || edited != FILE);
    differences(&parse(FILE), &parse(&edited))
}

#[test]
fn differences_name_tables_without_secrets() {
    let ops = ["channel ops is different"];
    assert_eq!(said("20 MiB/s", "10 MiB/s"), ["[limits] are different"]);
    assert_eq!(said("09:07", "10:07"), ["[report] is different"]);
    assert_eq!(said("a-token", "a-secret"), ["[http] token is different"]);
    assert_eq!(said("\"60s\"", "\"70s\""), ["[state] drain is different"]);
    assert_eq!(said("example/one", "example/two"), ops);
    assert_eq!(said("hush-hush", "hush-hush-hush"), ops);
    let renamed = [
        "channel dev is new",
        "channel ops is gone",
        "[report] is different",
    ];
    assert_eq!(said("notify.ops", "notify.dev"), renamed);
    assert_eq!(
        said("t.example/m", "t.example/n"),
        ["mirror app is different"]
    );
    let other = ["mirror new is new", "mirror app is gone; its history stays"];
    assert_eq!(said("\"app\"", "\"new\""), other);
}

#[test]
fn comment_is_no_difference() {
    assert_eq!(said("[limits]", "# slow\n[limits]"), Vec::<String>::new());
}
