//! How many mirrors run at a time: so many of each source registry, so that one that hangs holds
//! up no mirror of another.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{config::Mirror, oci::RegistryName, registry::OnceMap, sync::MIRRORS};

/// The mirrors that run, and those that wait for them.
#[derive(Debug, Default)]
pub(crate) struct Queues(OnceMap<RegistryName, Semaphore>);

impl Queues {
    /// Waits for the right to run a mirror, which lasts until it is dropped. A mirror of several
    /// registries counts for that which it names first.
    pub(crate) async fn turn(&self, mirror: &Mirror) -> Option<OwnedSemaphorePermit> {
        let named = mirror.routes.iter().map(|route| route.source.registry());
        let found = mirror.discoveries.iter().map(|pattern| pattern.registry());
        let queue = self.of(named.chain(found).next()?);
        // It is never closed.
        queue.acquire_owned().await.ok()
    }

    fn of(&self, registry: &RegistryName) -> Arc<Semaphore> {
        self.0.get_or_create(registry, || Semaphore::new(MIRRORS))
    }
}
