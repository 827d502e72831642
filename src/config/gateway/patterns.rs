//! Patterns of repositories with their registry, as in `quay.io/prometheus/*`.

use std::{collections::BTreeSet, io, path::Path};

use crate::{
    config::mirror::discovery::RepositoryGlob,
    oci::{RegistryName, Repository},
    registry::settings::bounded_file::{self, MAX_FILE_BYTES},
};

const HELP: &str = "write a registry and a pattern of repositories, as in \"docker.io/library/*\" or \
                    \"quay.io/**\"";

/// Patterns of repositories. Each names its registry: a client never chooses what is dialled.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImagePatterns {
    globs: Vec<(RegistryName, RepositoryGlob)>,
}

impl ImagePatterns {
    /// Adds a pattern, or returns what is wrong with it and what to write.
    pub fn add(&mut self, text: &str) -> Result<(), (String, &'static str)> {
        let (host, path) = text.split_once('/').unwrap_or((text, ""));
        let is_host = host.contains(['.', ':']) || host == "localhost";
        let registry = host.parse::<RegistryName>().ok().filter(|_| is_host);
        let Some(registry) = registry.filter(|_| !path.is_empty()) else {
            return Err((format!("`{text}` names no registry"), HELP));
        };
        let glob = RepositoryGlob::parse(&format!("{registry}/{path}"))?;
        self.globs.push((registry, glob));
        Ok(())
    }

    /// Reads a list with a pattern on each line; `#` begins a comment. Returns what could not be
    /// read beside the rest.
    pub fn read(text: &str) -> (Self, Vec<String>) {
        let (mut patterns, mut wrong) = (Self::default(), Vec::new());
        for (at, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if !line.is_empty()
                && let Err((message, _)) = patterns.add(line)
            {
                wrong.push(format!("line {}: {message}", at + 1));
            }
        }
        (patterns, wrong)
    }

    /// Reads such a list from a file of at most 4 MiB.
    pub fn read_file(path: &Path) -> io::Result<(Self, Vec<String>)> {
        let text = bounded_file::read_text(path, MAX_FILE_BYTES)?;
        Ok(Self::read(&text))
    }

    /// Whether any of them matches a repository.
    pub fn matches(&self, repository: &Repository) -> bool {
        self.globs.iter().any(|(registry, glob)| {
            registry == repository.registry() && glob.matches_name(repository)
        })
    }

    /// The registries that they name.
    pub fn registries(&self) -> BTreeSet<&str> {
        self.globs
            .iter()
            .map(|(registry, _)| registry.as_str())
            .collect()
    }
}
