//! How much of a mirror a run is about.

use crate::{
    config::{Route, Selection},
    oci::{Repository, Tag},
    sync::{Error, Refused, plan::select},
};

/// How much of a mirror a run is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of it.
    Whole,
    /// What it brings from one source repository.
    Source(Repository),
    /// One tag of a source repository.
    Image(Repository, Tag),
}

impl Scope {
    /// The routes that are left of a mirror's. Of several that take an image, the one that names its
    /// tag is left, else the first.
    pub(crate) fn narrow(
        &self,
        routes: Vec<Result<Route, Refused>>,
    ) -> Vec<Result<Route, Refused>> {
        let (source, tag) = match self {
            Self::Whole => return routes,
            Self::Source(source) => return of_source(routes, source),
            Self::Image(source, tag) => (source, tag),
        };
        let found = routes.into_iter().flatten();
        let found = found.filter(|route| route.source == *source && select::allows(route, tag));
        let owner = found.min_by_key(|route| !matches!(route.selection, Selection::Tag(_)));
        vec![match owner {
            Some(route) => Ok(Route {
                selection: Selection::Tag(tag.clone()),
                taken: Vec::new(),
                ..route
            }),
            None => {
                let error = Error::Refused("the mirror does not select it".into());
                let source = source.tag(tag).to_string();
                Err(Refused { source, error })
            }
        }]
    }

    /// The image, where the run is about one.
    pub(crate) fn image(&self) -> Option<String> {
        match self {
            Self::Whole | Self::Source(_) => None,
            Self::Image(source, tag) => Some(source.tag(tag).to_string()),
        }
    }
}

/// The routes from a source repository.
fn of_source(
    routes: Vec<Result<Route, Refused>>,
    source: &Repository,
) -> Vec<Result<Route, Refused>> {
    let is_own = |route: &Result<Route, Refused>| match route {
        Ok(route) => route.source == *source,
        Err(_) => false,
    };
    let (mut own, others): (Vec<_>, Vec<_>) = routes.into_iter().partition(is_own);
    if own.is_empty() {
        // Without the catalog nobody knows whether it is there.
        let refused = others.into_iter().find(Result::is_err);
        own.push(refused.unwrap_or_else(|| {
            let error = Error::Refused("the mirror does not have it".into());
            let source = source.to_string();
            Err(Refused { source, error })
        }));
    }
    own
}

#[cfg(test)]
mod tests;
