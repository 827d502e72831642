//! Asks every registry of the config whether it can be used, all at the same time.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt as _, stream};

use crate::{
    cli::setup::check::verdict::{self, Findings, RegistryReport},
    config::{Config, Route, Selection},
    metrics::Metrics,
    oci::{Repository, Tag},
    registry::{Reachability, Registries, Registry, RetryPolicy},
    sync::{Clock, select},
};

/// Registries that are asked at a time.
const AT_A_TIME: usize = 16;
/// One lost packet is no verdict, and nobody waits long for a check.
const RETRY: RetryPolicy = RetryPolicy {
    attempts: 2,
    first_pause: Duration::from_millis(300),
};

/// What a registry is used for: the first route of each kind stands for all.
#[derive(Default)]
struct Use<'c> {
    source: Option<&'c Route>,
    target: Option<&'c Repository>,
}

/// Asks them all, and gives the reports in the order of their names.
pub(crate) async fn ask(config: &Config) -> anyhow::Result<Vec<RegistryReport>> {
    let registries = Registries::new(
        config.registry_settings(),
        Arc::new(Metrics::new()?),
        RETRY,
        Vec::new(),
    );
    let mut asked = Vec::new();
    for used in uses(config).into_values() {
        let source = used.source.map(|route| &route.source);
        if let Some(repository) = source.or(used.target) {
            let name = repository.registry();
            asked.push((name, registries.open(name, Arc::default()), used));
        }
    }
    let reports = asked.into_iter().map(|(name, opened, used)| async move {
        let findings = match opened {
            Ok(registry) => find(&registry, &used).await,
            Err(error) => Findings::unreachable(Reachability::Unreachable(error)),
        };
        verdict::report(
            name,
            used.source.is_some(),
            used.target.is_some(),
            &findings,
        )
    });
    Ok(stream::iter(reports).buffered(AT_A_TIME).collect().await)
}

fn uses(config: &Config) -> BTreeMap<String, Use<'_>> {
    // A route that lists shows more than one that names its tag.
    let lists = |route: &Route| matches!(route.selection, Selection::Matching(_));
    let mut uses: BTreeMap<String, Use<'_>> = BTreeMap::new();
    for route in config.mirrors.iter().flat_map(|mirror| &mirror.routes) {
        let used = uses.entry(route.source.registry().to_string()).or_default();
        if used
            .source
            .is_none_or(|known| !lists(known) && lists(route))
        {
            used.source = Some(route);
        }
        for target in &route.targets {
            let used = uses.entry(target.registry().to_string()).or_default();
            used.target.get_or_insert(target);
        }
    }
    uses
}

async fn find(registry: &Registry, used: &Use<'_>) -> Findings {
    let reach = registry.probe_reach().await;
    if !matches!(reach, Reachability::Reachable) {
        return Findings::unreachable(reach);
    }
    let listed = match (used.source, used.target) {
        (Some(route), _) if matches!(route.selection, Selection::Matching(_)) => {
            Some(&route.source)
        }
        (_, target) => target,
    };
    let tags = match listed {
        Some(repository) => Some((repository, registry.probe_tags(repository).await)),
        None => None,
    };
    let page = match &tags {
        Some((_, Ok(Some(page)))) => Some(page.as_slice()),
        _ => None,
    };
    let wanted = used
        .source
        .and_then(|route| Some(route.source.tag(&chosen(route, page)?)));
    let pulled = match wanted {
        Some(reference) => {
            let result = registry.probe_manifest(&reference).await;
            Some((reference.to_string(), result))
        }
        None => None,
    };
    let pushed = match used.target {
        Some(repository) => Some((
            repository.to_string(),
            registry.probe_push(repository).await,
        )),
        None => None,
    };
    Findings {
        reach,
        identity: Some(registry.identity()),
        listed: tags.map(|(repository, result)| {
            let count = result.map(|tags| tags.map(|tags| tags.len()));
            (repository.to_string(), count)
        }),
        pulled,
        pushed,
    }
}

/// The tag to ask for: one that the route selects, else any of its source, so that something is.
fn chosen(route: &Route, listed: Option<&[Tag]>) -> Option<Tag> {
    if let Selection::Tag(tag) = &route.selection {
        return Some(tag.clone());
    }
    let tags = listed?;
    // Ages are not asked for here, and a guard is for the whole listing, not for its first page.
    let clock = Clock {
        now: 0,
        times: &HashMap::new(),
    };
    let selected = select(route, tags, clock)
        .map(|selected| selected.tags)
        .unwrap_or_default();
    selected.first().or(tags.first()).cloned()
}
