use std::path::Path;

use crate::{config::Config, sync::scope::*};

#[test]
fn image_scope_takes_what_the_entry_selects() {
    let text = "[[mirror]]\ntarget = \"t.example/m\"\nfrom = \"s.example/a\"\ntags = \"v*\"";
    let config = Config::parse(Path::new("mirror.toml"), text).unwrap();
    let mirror = &config.mirrors[0];
    let scope =
        |name: &str| Scope::Image("s.example/a".parse().unwrap(), name.parse::<Tag>().unwrap());
    let routes = || mirror.routes.iter().cloned().map(Ok).collect();
    let narrowed = scope("v1").narrow(routes()).remove(0).unwrap();
    assert!(matches!(narrowed.selection, Selection::Tag(only) if only.as_str() == "v1"));
    let refused = scope("latest").narrow(routes()).remove(0).unwrap_err();
    assert_eq!(refused.source, "s.example/a:latest");
}

#[test]
fn source_scope_takes_one_repository() {
    let text = "[[mirror]]\ntarget = \"t.example/m\"\nfrom = [\"s.example/a\", \"s.example/b\"]\ntags = \"*\"";
    let config = Config::parse(Path::new("mirror.toml"), text).unwrap();
    let mirror = &config.mirrors[0];
    let routes = || mirror.routes.iter().cloned().map(Ok).collect();
    let narrowed = Scope::Source("s.example/b".parse().unwrap()).narrow(routes());
    let sources = narrowed.into_iter().map(|route| route.unwrap().source);
    assert_eq!(
        sources.collect::<Vec<_>>(),
        ["s.example/b".parse().unwrap()]
    );
    let mut refused = Scope::Source("s.example/c".parse().unwrap()).narrow(routes());
    assert_eq!(refused.remove(0).unwrap_err().source, "s.example/c");
}
