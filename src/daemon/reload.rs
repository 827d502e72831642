//! Reads `mirror.toml` anew, and says what is different.

use std::{fs, path::Path};

use secrecy::ExposeSecret as _;

use crate::config::{self, Config};

/// What the file holds, and what is made of it.
pub(super) struct Loaded {
    pub(super) text: String,
    pub(super) config: Result<Config, config::Error>,
}

/// Reads the file. May wait for credential helpers: not for a thread that others wait for.
pub(super) fn load(path: &Path) -> Loaded {
    match fs::read_to_string(path) {
        Ok(text) => Loaded {
            config: Config::parse_for_daemon(path, &text),
            text,
        },
        Err(error) => Loaded {
            text: String::new(),
            config: Err(config::Error::Unreadable {
                path: path.into(),
                error,
            }),
        },
    }
}

/// What is different, in words; empty if nothing that the file says is.
pub(super) fn differences(before: &Config, after: &Config) -> Vec<String> {
    let mut said = mirrors(before, after);
    let registries = before.registries.keys().chain(after.registries.keys());
    let mut registries: Vec<_> = registries.collect();
    registries.sort();
    registries.dedup();
    for name in registries {
        if !before.registry(name).is_same(&after.registry(name)) {
            said.push(format!("registry {name} is different"));
        }
    }
    said.extend(channels(before, after));
    if before.timezone != after.timezone {
        said.push(format!("the timezone is {}", after.timezone.name()));
    }
    let token = |config: &Config| {
        let token = config.http.token.as_ref();
        token.map(|token| token.expose_secret().to_owned())
    };
    let (report, new) = (&before.report, &after.report);
    let others = [
        ("[limits] are", before.limits != after.limits),
        ("[report] is", (report.at, &report.to) != (new.at, &new.to)),
        ("[http] token is", token(before) != token(after)),
        ("[state] drain is", before.drain != after.drain),
    ];
    let others = others.iter().filter(|(_, is_different)| *is_different);
    said.extend(others.map(|(what, _)| format!("{what} different")));
    if before.state_path != after.state_path {
        said.push("[state] path is different, which takes a restart".into());
    }
    if before.http.listen != after.http.listen {
        said.push("[http] listen is different, which takes a restart".into());
    }
    said
}

fn mirrors(before: &Config, after: &Config) -> Vec<String> {
    let mut said = Vec::new();
    for mirror in &after.mirrors {
        match before.mirrors.iter().find(|old| old.name == mirror.name) {
            None => said.push(format!("mirror {} is new", mirror.name)),
            Some(old) if format!("{old:?}") != format!("{mirror:?}") => {
                said.push(format!("mirror {} is different", mirror.name));
            }
            Some(_) => {}
        }
    }
    for mirror in &before.mirrors {
        if after.mirrors.iter().all(|new| new.name != mirror.name) {
            said.push(format!("mirror {} is gone; its history stays", mirror.name));
        }
    }
    said
}

fn channels(before: &Config, after: &Config) -> Vec<String> {
    let mut said = Vec::new();
    for channel in &after.channels {
        match before.channels.iter().find(|old| old.name == channel.name) {
            None => said.push(format!("channel {} is new", channel.name)),
            Some(old) if !old.is_same(channel) => {
                said.push(format!("channel {} is different", channel.name));
            }
            Some(_) => {}
        }
    }
    for channel in &before.channels {
        if after.channels.iter().all(|new| new.name != channel.name) {
            said.push(format!("channel {} is gone", channel.name));
        }
    }
    said
}

#[cfg(test)]
mod tests {
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
    fn an_edit_of_any_table_is_said_by_name_and_no_secret_is() {
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
    fn an_edit_that_changes_nothing_is_said_to_be_none() {
        assert_eq!(said("[limits]", "# slow\n[limits]"), Vec::<String>::new());
    }
}
