//! Holds pruning back once after an upgrade that changed the order of `latest`.

use crate::{
    config::{Config, Mirror, Prune, Route, Selection},
    store::{self, Pruning, StoreEvent},
    sync::{Sync, plan::tag_version::ORDER_VERSION},
};

impl Sync {
    /// The prune rule of a mirror. `None` in the first run after the order of `latest` changed,
    /// which is logged: tags that were newest may no longer be.
    pub(crate) async fn prune_rule(&self, config: &Config, mirror: &Mirror) -> Option<Prune> {
        let rule = mirror.prune?;
        match self.is_order_new(config, mirror).await {
            false => Some(rule),
            true => {
                tracing::warn!(
                    mirror = %mirror.name,
                    "the order by which `latest` chooses tags changed with this version: nothing \
                     of this mirror is pruned in this run; compare `transship plan --order {}`, \
                     and add tags that must stay to `tags` of another entry",
                    mirror.name
                );
                None
            }
        }
    }

    /// Notes that a mirror was compared by this version's order: what it selects from now on was
    /// chosen by it, whether or not it prunes yet.
    pub(crate) async fn order_seen(&self, mirror: &Mirror) {
        let seen = self.store.tag_order(&mirror.name).await;
        if seen.is_ok_and(|seen| seen != Some(ORDER_VERSION)) {
            let event = Pruning::Ordered {
                mirror: mirror.name.to_string(),
                version: ORDER_VERSION,
            };
            self.recorder.record(StoreEvent::Pruning(event)).await;
        }
    }

    /// Whether tags of the mirror, or of one that is no longer in the file and may be its earlier name,
    /// were chosen by another order.
    async fn is_order_new(&self, config: &Config, mirror: &Mirror) -> bool {
        if !uses_latest(mirror) {
            return false;
        }
        let seen = async {
            let is_seen = self.store.tag_order(&mirror.name).await? == Some(ORDER_VERSION);
            let is_others = |keeper: &String| {
                let mut others = config.mirrors.iter();
                **keeper != *mirror.name && others.any(|other| *other.name == **keeper)
            };
            let keepers = self.store.keepers_without_order(ORDER_VERSION).await?;
            let is_known = !keepers.iter().all(is_others);
            Ok::<_, store::Error>(is_seen || !is_known)
        };
        // A store that cannot be read is no leave to delete.
        !seen.await.unwrap_or_default()
    }
}

/// Whether any selection of a mirror chooses by `latest`.
pub(crate) fn uses_latest(mirror: &Mirror) -> bool {
    let has_latest = |selection: &Selection| match selection {
        Selection::Tag(_) | Selection::Nothing => false,
        Selection::Matching(selectors) => selectors.latest.is_some(),
    };
    let is_ordered =
        |route: &Route| has_latest(&route.selection) || route.taken.iter().any(has_latest);
    // Which repositories a pattern finds is not known yet.
    mirror.routes.iter().any(is_ordered) || !mirror.discoveries.is_empty()
}
