//! Where the repositories of an entry go: the targets, and the path below each.

use std::fmt;

use super::path::{PATH_HELP, PathTemplate};
use crate::oci::{RegistryName, Repository};

/// The targets of one entry, and the path that a source repository has below them.
#[derive(Clone, Debug)]
pub(super) struct Placement {
    pub(super) targets: Vec<Target>,
    pub(super) template: PathTemplate,
}

/// A registry and the path under which everything goes there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) registry: RegistryName,
    pub(super) prefix: String,
}

/// Why a source repository has no place at a target.
#[derive(Debug)]
pub(super) struct Misplaced {
    pub(super) message: String,
    pub(super) help: String,
    pub(super) fault: Fault,
}

/// Which key of the entry is to be corrected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Target,
    Path,
}

impl Placement {
    /// The target repositories of a source repository, in the order of the targets.
    pub(super) fn place(&self, source: &Repository) -> Vec<Result<Repository, Misplaced>> {
        let path = self.template.render(source);
        let targets = self.targets.iter();
        targets.map(|target| target.place(source, &path)).collect()
    }

    /// Whether one target of the two lies within another's, so that both may write one repository.
    pub(super) fn shares_a_target(&self, other: &Self) -> bool {
        self.targets
            .iter()
            .any(|target| other.targets.iter().any(|other| target.touches(other)))
    }
}

impl Target {
    fn place(&self, source: &Repository, path: &str) -> Result<Repository, Misplaced> {
        let name = match self.prefix.as_str() {
            "" => format!("{}/{path}", self.registry),
            prefix => format!("{}/{prefix}/{path}", self.registry),
        };
        let repository = name.parse::<Repository>().map_err(|error| Misplaced {
            message: format!("bad target: {error}"),
            help: PATH_HELP.into(),
            fault: Fault::Path,
        })?;
        if repository == *source {
            return Err(Misplaced {
                message: format!("{source} would be mirrored onto itself"),
                help: "name another target or path".into(),
                fault: Fault::Target,
            });
        }
        Ok(repository)
    }

    fn touches(&self, other: &Self) -> bool {
        self.registry == other.registry
            && (self.prefix.starts_with(&other.prefix) || other.prefix.starts_with(&self.prefix))
    }
}

impl fmt::Display for Misplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.message, self.help)
    }
}
