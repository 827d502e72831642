//! Holds pruning back once after an upgrade that changed the order of `latest`.

use crate::{
    config::{Mirror, Prune, Route, Selection},
    store::{self, Pruning, StoreEvent},
    sync::{Sync, plan::tag_version::ORDER_VERSION},
};

impl Sync {
    /// The prune rule of a mirror. `None` in the first run after the order of `latest` changed,
    /// which is logged: tags that were newest may no longer be.
    pub(crate) async fn prune_rule(&self, mirror: &Mirror) -> Option<Prune> {
        let rule = mirror.prune?;
        match self.is_order_new(mirror).await {
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

    /// Notes that a mirror was compared by this version's order.
    pub(crate) async fn order_seen(&self, mirror: &Mirror) {
        if mirror.prune.is_none() || !uses_latest(mirror) {
            return;
        }
        let seen = self.store.tag_order(&mirror.name).await;
        if seen.is_ok_and(|seen| seen != Some(ORDER_VERSION)) {
            let event = Pruning::Ordered {
                mirror: mirror.name.to_string(),
                version: ORDER_VERSION,
            };
            self.recorder.record(StoreEvent::Pruning(event)).await;
        }
    }

    async fn is_order_new(&self, mirror: &Mirror) -> bool {
        if !uses_latest(mirror) {
            return false;
        }
        let seen = async {
            let is_seen = self.store.tag_order(&mirror.name).await? == Some(ORDER_VERSION);
            Ok::<_, store::Error>(is_seen || !self.store.has_tags(&mirror.name).await?)
        };
        // A store that cannot be read is no leave to delete.
        !seen.await.unwrap_or_default()
    }
}

/// Whether any selection of a mirror chooses by `latest`.
pub(crate) fn uses_latest(mirror: &Mirror) -> bool {
    let has_latest = |selection: &Selection| match selection {
        Selection::Tag(_) => false,
        Selection::Matching(selectors) => selectors.latest.is_some(),
    };
    let is_ordered =
        |route: &Route| has_latest(&route.selection) || route.taken.iter().any(has_latest);
    // Which repositories a pattern finds is not known yet.
    mirror.routes.iter().any(is_ordered) || !mirror.discoveries.is_empty()
}
