//! What a token is asked for.

use std::{collections::BTreeSet, sync::Arc};

/// What a token is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Scope {
    /// The repository; empty for the registry's catalog.
    pub(crate) repository: Arc<str>,
    /// Whether to ask for the `push` action.
    pub(crate) writes: bool,
    /// Whether to ask for the `delete` action.
    pub(crate) deletes: bool,
    /// A second repository to read from, for a mount.
    pub(crate) from: Option<Arc<str>>,
}

impl Scope {
    /// The scope of the registry's catalog.
    pub(crate) fn catalog() -> Self {
        Self {
            repository: "".into(),
            writes: false,
            deletes: false,
            from: None,
        }
    }

    /// Whether this is the catalog. A refusal then does not mean a wrong login: many registries show
    /// the catalog to administrators only.
    pub(crate) fn is_catalog(&self) -> bool {
        self.repository.is_empty()
    }

    /// The actions that it needs by the specification.
    pub(crate) fn actions(&self) -> &'static str {
        match (self.writes, self.deletes) {
            (_, true) => "pull,push,delete",
            (true, false) => "pull,push",
            (false, false) => "pull",
        }
    }

    #[cfg(test)]
    pub(crate) fn texts(&self) -> Vec<String> {
        self.texts_with(None)
    }

    /// The scopes of a token, with actions that the registry has asked for.
    pub(crate) fn texts_with(&self, extra: Option<&BTreeSet<String>>) -> Vec<String> {
        if self.is_catalog() {
            return vec!["registry:catalog:*".into()];
        }
        let mut actions = self.actions().to_owned();
        for action in extra.into_iter().flatten() {
            if !actions.split(',').any(|known| known == action) {
                actions = format!("{actions},{action}");
            }
        }
        let from = self
            .from
            .iter()
            .map(|from| format!("repository:{from}:pull"));
        std::iter::once(format!("repository:{}:{actions}", self.repository))
            .chain(from)
            .collect()
    }
}
