//! All routes that write to the same target repositories, of every entry of `mirror.toml`: what a
//! repository is to hold is a matter of all of them together.

use std::collections::HashSet;

use crate::{
    config::{Config, Mirror, Origin, Prune, Route, Selection},
    oci::{Digest, Repository, Tag},
    sync::{Refused, plan::select, prune::order_change::uses_latest},
};

/// One source repository, the target repositories it goes to, and every route between them. Routes
/// with one target repository have the same source and targets.
#[derive(Clone, Debug)]
pub(crate) struct RouteGroup<'a> {
    /// The mirror that runs.
    pub mirror: &'a Mirror,
    /// The source repository.
    pub source: Repository,
    /// How the source is known.
    pub origin: Origin,
    /// The target repositories.
    pub targets: Vec<Repository>,
    /// The routes of the mirror that runs.
    pub own: Vec<Route>,
    /// The routes of other mirrors with the same rule for names.
    pub others: Vec<(&'a Mirror, Route)>,
    /// The routes of other mirrors with another rule for names.
    apart: Vec<(&'a Mirror, Route)>,
    /// By which rule the mirror that runs prunes now.
    pub rule: Option<Prune>,
    /// The mirrors that write there, in the order of the file.
    writers: Vec<&'a Mirror>,
}

impl<'a> RouteGroup<'a> {
    /// Sorts the routes of a mirror into groups. Routes without a place are handed back.
    pub(crate) fn all(
        config: &'a Config,
        mirror: &'a Mirror,
        routes: Vec<Result<Route, Refused>>,
        rule: Option<Prune>,
    ) -> (Vec<Self>, Vec<Refused>) {
        let (mut groups, mut refused): (Vec<Self>, _) = (Vec::new(), Vec::new());
        for route in routes {
            let route = match route {
                Ok(route) => route,
                Err(error) => {
                    refused.push(error);
                    continue;
                }
            };
            let is_same =
                |group: &&mut Self| group.source == route.source && group.targets == route.targets;
            match groups.iter_mut().rfind(is_same) {
                Some(group) => {
                    if route.origin == Origin::Named {
                        group.origin = Origin::Named;
                    }
                    group.own.push(route);
                }
                None => groups.push(Self {
                    mirror,
                    source: route.source.clone(),
                    origin: route.origin,
                    targets: route.targets.clone(),
                    own: vec![route],
                    others: Vec::new(),
                    apart: Vec::new(),
                    rule,
                    writers: Vec::new(),
                }),
            }
        }
        for group in &mut groups {
            group.join(config);
        }
        (groups, refused)
    }

    /// Adds the routes of the other mirrors. Those of patterns count whether or not their catalog can
    /// be read.
    fn join(&mut self, config: &'a Config) {
        for other in &config.mirrors {
            if other.name == self.mirror.name {
                self.writers.push(other);
                continue;
            }
            let found = other.discoveries.iter();
            let found = found.filter(|found| found.matches(&self.source));
            let found = found.filter_map(|found| found.route(&self.source).ok());
            let named = other.routes.iter().cloned();
            let meets = |route: &Route| {
                let mut targets = route.targets.iter();
                route.source == self.source && targets.any(|target| self.targets.contains(target))
            };
            let routes: Vec<_> = named.chain(found).filter(meets).collect();
            if !routes.is_empty() {
                self.writers.push(other);
                let routes = routes.into_iter().map(|route| (other, route));
                match other.rename == self.mirror.rename {
                    true => self.others.extend(routes),
                    false => self.apart.extend(routes),
                }
            }
        }
    }

    /// Every route, with its mirror; the own ones first.
    pub(crate) fn routes(&self) -> impl Iterator<Item = (&'a Mirror, &Route)> {
        let own = self.own.iter().map(|route| (self.mirror, route));
        own.chain(self.others.iter().map(|(mirror, route)| (*mirror, route)))
    }

    /// The tags that routes name, by their names at the source.
    pub(crate) fn named(&self) -> HashSet<&Tag> {
        let named = |(_, route)| match route {
            &Route {
                selection: Selection::Tag(ref tag),
                ..
            } => Some(tag),
            _ => None,
        };
        self.routes().filter_map(named).collect()
    }

    /// The tags that stand for a digest, and that digest.
    pub(crate) fn pins(&self) -> impl Iterator<Item = (&Tag, &Digest)> {
        self.routes()
            .filter_map(|(_, route)| match &route.selection {
                Selection::Tag(tag) => Some((tag, route.pin.as_ref()?)),
                Selection::Nothing | Selection::Matching(_) => None,
            })
    }

    /// Whether something leaves that the mirror that runs had.
    pub(crate) fn is_leaving(&self) -> bool {
        let mut own = self.own.iter();
        own.any(|route| route.selection == Selection::Nothing)
    }

    /// Whether the mirror that runs selects by a listing.
    pub(crate) fn lists(&self) -> bool {
        let mut own = self.own.iter();
        own.any(|route| matches!(route.selection, Selection::Matching(_)))
    }

    /// Whether any route takes a tag by its name.
    pub(crate) fn allows(&self, tag: &Tag) -> bool {
        self.routes().any(|(_, route)| select::allows(route, tag))
    }

    /// Whether a tag of the target, which this mirror keeps, is seen to by a mirror with another rule
    /// for names.
    pub(crate) fn is_apart(&self, target_tag: &Tag, keeper: &str) -> bool {
        let mut apart = self.apart.iter();
        apart.any(|(mirror, route)| {
            let tag = mirror.source_tag(target_tag);
            *mirror.name == *keeper || tag.is_some_and(|tag| select::allows(route, &tag))
        })
    }

    /// Whether a mirror writes there.
    pub(crate) fn is_written_by(&self, mirror: &str) -> bool {
        self.writers.iter().any(|writer| *writer.name == *mirror)
    }

    /// The mirror that a tag belongs to which no route asks for: the one that kept it, or where that
    /// no longer writes there, the first that does.
    pub(crate) fn heir(&self, keeper: &str) -> &'a Mirror {
        let kept = self.writers.iter().find(|writer| *writer.name == *keeper);
        kept.or(self.writers.first()).unwrap_or(&self.mirror)
    }

    /// By which rule a mirror that writes there prunes. What others choose by `latest` is left to
    /// them: they may hold pruning back.
    pub(crate) fn prune(&self, mirror: &str) -> Option<Prune> {
        if *self.mirror.name == *mirror {
            return self.rule;
        }
        let mut writers = self.writers.iter();
        let other = writers.find(|writer| *writer.name == *mirror)?;
        other.prune.filter(|_| !uses_latest(other))
    }
}
