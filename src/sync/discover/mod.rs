//! The routes of a mirror: those that the file names, and those that `*` in `from` stands for,
//! which catalogs are asked for when a run or a plan starts.

mod on_demand;

pub use on_demand::{WithDemand, with_demand};

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::{Error, Sync};
use crate::{
    config::{Claim, Config, Discovery, Mirror, Route},
    oci::{RegistryName, Repository},
    registry::{self, Kind, OnceMap, RequestCounter},
    sync::plan::select::is_same,
};

/// Catalogs that are read at a time.
const CATALOGS: usize = 8;
/// How long runs of single repositories share the catalogs that were read.
const SHARED_FOR: Duration = Duration::from_secs(300);

/// The catalogs that one run or plan has read, each once, whichever mirrors want it.
#[derive(Debug, Default)]
pub(crate) struct Catalogs(OnceMap<Key, OnceCell<Catalog>>);

/// A registry, and the parts of the path that narrow its catalog.
type Key = (RegistryName, String);
type Catalog = Result<Arc<[Repository]>, registry::Error>;

impl Catalogs {
    fn has_failed(&self) -> bool {
        let cells = self.0.values();
        let mut cells = cells.iter();
        cells.any(|cell| matches!(cell.get(), Some(Err(_))))
    }
}

/// The catalogs that runs of single repositories share.
#[derive(Debug, Default)]
pub(crate) struct RecentCatalogs(Mutex<Option<(Instant, Arc<Catalogs>)>>);

impl RecentCatalogs {
    /// Those that were read lately.
    fn get(&self) -> Arc<Catalogs> {
        let recent = self.0.lock().clone();
        let is_usable = |(at, catalogs): &(Instant, Arc<Catalogs>)| {
            at.elapsed() < SHARED_FOR && !catalogs.has_failed()
        };
        let usable = recent.filter(is_usable);
        usable.map_or_else(|| self.renew(), |(_, catalogs)| catalogs)
    }

    /// None that were read yet.
    fn renew(&self) -> Arc<Catalogs> {
        let new: Arc<Catalogs> = Arc::default();
        *self.0.lock() = Some((Instant::now(), new.clone()));
        new
    }
}

/// What the patterns of a mirror stand for.
#[derive(Debug)]
pub struct Discovered {
    /// The routes of repositories that the file does not name.
    pub routes: Vec<Route>,
    /// What cannot be mirrored, and why.
    pub refused: Vec<Refused>,
}

impl Discovered {
    /// Whether every catalog was read and had something: what it lacks is gone.
    pub fn is_whole(&self) -> bool {
        let mut refused = self.refused.iter();
        refused.all(|refused| matches!(refused.error, Error::Refused(_)))
    }
}

/// A repository, or a pattern of them, that is not mirrored.
#[derive(Debug)]
pub struct Refused {
    /// As it stands in `from`, or as it was found.
    pub source: String,
    /// Why.
    pub error: Error,
}

impl Sync {
    /// The routes of a mirror. Asks nothing for a mirror without `*`.
    pub(crate) async fn routes(
        &self,
        config: &Config,
        mirror: &Mirror,
        catalogs: &Catalogs,
        meter: &Arc<RequestCounter>,
    ) -> Vec<Result<Route, Refused>> {
        let mut routes: Vec<_> = mirror.routes.iter().cloned().map(Ok).collect();
        if mirror.discoveries.is_empty() {
            return routes;
        }
        let wanted: Vec<&Discovery> = wanted(config, mirror);
        let keys: Vec<Key> = wanted.into_iter().map(key).collect();
        let found: HashMap<Key, Catalog> = stream::iter(keys)
            .map(|key| async {
                let catalog = self.catalog(&key, catalogs, meter).await;
                (key, catalog)
            })
            .buffer_unordered(CATALOGS)
            .collect()
            .await;
        routes.extend(expand(config, mirror, &found));
        routes
    }

    /// What the patterns of a mirror stand for now.
    pub async fn discover(&self, config: &Config, mirror: &Mirror) -> Discovered {
        let (catalogs, meter) = (self.recent.renew(), Arc::default());
        let routes = self.routes(config, mirror, &catalogs, &meter).await;
        let mut discovered = Discovered {
            routes: Vec::new(),
            refused: Vec::new(),
        };
        let is_named = |route: &Route| mirror.routes.iter().any(|own| own.source == route.source);
        for route in routes {
            match route {
                Ok(route) if is_named(&route) => {}
                Ok(route) => discovered.routes.push(route),
                Err(refused) => discovered.refused.push(refused),
            }
        }
        discovered
    }

    /// The routes of a mirror, for a run of one source repository. Catalogs that were read lately are
    /// not read again, unless they lack it.
    pub(crate) async fn routes_of(
        &self,
        config: &Config,
        mirror: &Mirror,
        source: &Repository,
        meter: &Arc<RequestCounter>,
    ) -> Vec<Result<Route, Refused>> {
        let catalogs = self.recent.get();
        let routes = self.routes(config, mirror, &catalogs, meter).await;
        let mut found = routes.iter().flatten();
        if mirror.discoveries.is_empty() || found.any(|route| route.source == *source) {
            return routes;
        }
        let catalogs = self.recent.renew();
        self.routes(config, mirror, &catalogs, meter).await
    }

    async fn catalog(
        &self,
        key: &Key,
        catalogs: &Catalogs,
        meter: &Arc<RequestCounter>,
    ) -> Catalog {
        let cell = catalogs.0.get(key);
        let read = async {
            let registry = self.registries.open(&key.0, meter.clone())?;
            Ok(registry.list_repositories(&key.1).await?.into())
        };
        cell.get_or_init(|| read).await.clone()
    }
}

fn key(discovery: &Discovery) -> Key {
    (discovery.registry().clone(), discovery.prefix().to_owned())
}

/// The mirror's own patterns, and those of mirrors before it that may write where it writes: what
/// they bring, it must not.
fn wanted<'a>(config: &'a Config, mirror: &'a Mirror) -> Vec<&'a Discovery> {
    let earlier = earlier(config, mirror).flat_map(|earlier| &earlier.discoveries);
    let may_meet = |other: &&Discovery| mirror.discoveries.iter().any(|own| own.may_meet(other));
    mirror
        .discoveries
        .iter()
        .chain(earlier.filter(may_meet))
        .collect()
}

/// The mirrors that stand before this one in the file.
fn earlier<'a>(config: &'a Config, mirror: &'a Mirror) -> impl Iterator<Item = &'a Mirror> {
    let is_other = |other: &&Mirror| other.name != mirror.name;
    config.mirrors.iter().take_while(is_other)
}

/// What the patterns of a mirror stand for. Repositories that the file names come first, then
/// those found, in the order of the file and by name: of two routes to one target repository the
/// later gives way, or is refused where the two do not bring the same.
fn expand(
    config: &Config,
    mirror: &Mirror,
    found: &HashMap<Key, Catalog>,
) -> Vec<Result<Route, Refused>> {
    let mut claims = Claims::of_the_file(config);
    for earlier in earlier(config, mirror) {
        for discovery in &earlier.discoveries {
            // Whatever is wrong with another mirror's patterns is reported by that mirror.
            let Some(Ok(catalog)) = found.get(&key(discovery)) else {
                continue;
            };
            for source in matching(discovery, catalog) {
                let _ = claims.add(earlier, discovery, source);
            }
        }
    }
    let mut expanded = Vec::new();
    for discovery in &mirror.discoveries {
        let refuse = |error| {
            let source = discovery.to_string();
            Err(Refused { source, error })
        };
        let sources = match found.get(&key(discovery)) {
            Some(Ok(catalog)) => matching(discovery, catalog),
            Some(Err(error)) => {
                expanded.push(refuse(error.clone().into()));
                continue;
            }
            None => continue,
        };
        if sources.is_empty() {
            expanded.push(refuse(nothing(discovery).into()));
        }
        for source in sources {
            expanded.extend(claims.add(mirror, discovery, source).transpose());
        }
    }
    expanded
}

fn matching<'a>(discovery: &Discovery, catalog: &'a [Repository]) -> BTreeSet<&'a Repository> {
    let meant = |source: &&Repository| discovery.matches(source);
    catalog.iter().filter(meant).collect()
}

fn nothing(discovery: &Discovery) -> registry::Error {
    let text = "the catalog names no repository that matches; is the pattern right, and may this \
                account see them?";
    let (name, kind) = (discovery.registry(), Kind::NotFound(text.into()));
    registry::Error::new(
        registry::Operation::Application("find"),
        discovery,
        name,
        kind,
    )
}

/// Who writes to which target repository.
struct Claims<'a> {
    made: Vec<(&'a Mirror, Route)>,
    by_target: HashMap<Repository, Vec<usize>>,
}

impl<'a> Claims<'a> {
    fn of_the_file(config: &'a Config) -> Self {
        let mut claims = Self {
            made: Vec::new(),
            by_target: HashMap::new(),
        };
        for mirror in &config.mirrors {
            for route in &mirror.routes {
                claims.note(mirror, route.clone());
            }
        }
        claims
    }

    /// The route of a repository that was found; none where an earlier one brings all of it.
    fn add(
        &mut self,
        mirror: &'a Mirror,
        discovery: &Discovery,
        source: &Repository,
    ) -> Result<Option<Route>, Refused> {
        let refuse = |text: String| Refused {
            source: source.to_string(),
            error: Error::Refused(text),
        };
        let mut route = discovery.route(source).map_err(refuse)?;
        let mut others: Vec<(usize, &Repository)> = Vec::new();
        for target in &route.targets {
            for other in self.by_target.get(target).into_iter().flatten() {
                if others.iter().all(|(known, _)| known != other) {
                    others.push((*other, target));
                }
            }
        }
        let mut taken = Vec::new();
        for (other, target) in others {
            let (other_mirror, other) = &self.made[other];
            let earlier = claim(other_mirror, other);
            earlier
                .share(&claim(mirror, &route), target)
                .map_err(|clash| refuse(clash.to_string()))?;
            if earlier.is_apart(&claim(mirror, &route)) {
                continue;
            }
            if is_same(&other.selection, &route.selection) {
                return Ok(None);
            }
            taken.push(other.selection.clone());
        }
        route.taken = taken;
        self.note(mirror, route.clone());
        Ok(Some(route))
    }

    fn note(&mut self, mirror: &'a Mirror, route: Route) {
        for target in &route.targets {
            let claims = self.by_target.entry(target.clone()).or_default();
            claims.push(self.made.len());
        }
        self.made.push((mirror, route));
    }
}

fn claim<'a>(mirror: &'a Mirror, route: &'a Route) -> Claim<'a> {
    Claim { route, mirror }
}

#[cfg(test)]
mod tests;
