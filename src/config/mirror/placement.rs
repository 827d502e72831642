//! Where the repositories of an entry go: the targets, and the path below each.

use std::fmt;

use crate::{
    config::mirror::path::{PATH_HELP, PathTemplate},
    oci::{RegistryName, Repository},
};

/// Registries whose names have two parts, beside every one of Aliyun.
const TWO_PARTS: [&str; 2] = ["docker.io", "ccr.ccs.tencentyun.com"];

/// The targets of one entry, and the path that a source repository has below them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    pub(crate) targets: Vec<TargetPrefix>,
    pub(crate) template: PathTemplate,
}

/// A registry and the path under which everything goes there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TargetPrefix {
    pub(crate) registry: RegistryName,
    pub(crate) prefix: String,
}

/// Why a source repository has no place at a target.
#[derive(Debug)]
pub(crate) struct Misplaced {
    pub(crate) message: String,
    pub(crate) help: String,
    pub(crate) fault: PlacementFault,
}

/// Which key of the entry is to be corrected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlacementFault {
    Target,
    Path,
}

impl Placement {
    /// The target repositories of a source repository, in the order of the targets.
    pub(crate) fn place(&self, source: &Repository) -> Vec<Result<Repository, Misplaced>> {
        let path = self.template.render(source);
        let targets = self.targets.iter();
        targets.map(|target| target.place(source, &path)).collect()
    }

    /// Whether one target of the two lies within another's, so that both may write one repository.
    pub(crate) fn shares_a_target(&self, other: &Self) -> bool {
        self.targets
            .iter()
            .any(|target| other.targets.iter().any(|other| target.touches(other)))
    }
}

impl TargetPrefix {
    fn place(&self, source: &Repository, path: &str) -> Result<Repository, Misplaced> {
        let name = match self.prefix.as_str() {
            "" => format!("{}/{path}", self.registry),
            prefix => format!("{}/{prefix}/{path}", self.registry),
        };
        let repository = name.parse::<Repository>().map_err(|error| Misplaced {
            message: format!("bad target: {error}"),
            help: PATH_HELP.into(),
            fault: PlacementFault::Path,
        })?;
        if repository == *source {
            return Err(Misplaced {
                message: format!("{source} would be mirrored onto itself"),
                help: "name another target or path".into(),
                fault: PlacementFault::Target,
            });
        }
        self.check_depth(&repository)?;
        Ok(repository)
    }

    /// Refuses a name that the registry would refuse, where it is known to take only two parts.
    /// What a registry of one's own takes does not show in its name.
    fn check_depth(&self, repository: &Repository) -> Result<(), Misplaced> {
        let host = self.registry.as_str();
        let takes_two = TWO_PARTS.contains(&host) || host.ends_with(".aliyuncs.com");
        let path = repository.path();
        if !takes_two || path.split('/').count() == 2 {
            return Ok(());
        }
        let message = format!("{host} takes namespace/repository and nothing else, not {path}");
        let (help, fault) = match self.prefix.as_str() {
            "" => (
                format!(
                    "name a namespace, as in target = \"{host}/NAMESPACE\", and one part in `path`"
                ),
                PlacementFault::Target,
            ),
            prefix if prefix.contains('/') => (
                "let `target` end with its namespace, and `path` be one part".into(),
                PlacementFault::Target,
            ),
            _ => (
                "make one part of it: path = \"{repository|flatten}\", or \
                 \"{registry|short}-{repository|flatten}\", or \"{name}\""
                    .into(),
                PlacementFault::Path,
            ),
        };
        Err(Misplaced {
            message,
            help,
            fault,
        })
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
