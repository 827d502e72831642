//! One leader for each thing that many want at the same time.

use std::{collections::HashMap, hash::Hash};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::registry::WaiterCount;

/// What is being done now, by key.
#[derive(Debug)]
pub(crate) struct SingleFlight<K>(Mutex<HashMap<K, (watch::Sender<()>, WaiterCount)>>);

/// The exclusive right to do a thing, given back when dropped.
#[derive(Debug)]
pub(crate) struct Leader<'a, K: Eq + Hash> {
    flights: &'a SingleFlight<K>,
    key: K,
    wanted: WaiterCount,
}

impl<K> Default for SingleFlight<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash> SingleFlight<K> {
    /// Leads unless somebody does; waits for nobody.
    pub(crate) fn try_lead(&self, key: &K) -> Option<Leader<'_, K>> {
        let mut leaders = self.0.lock();
        if leaders.contains_key(key) {
            return None;
        }
        let wanted = WaiterCount::default();
        leaders.insert(key.clone(), (watch::channel(()).0, wanted.clone()));
        Some(Leader {
            flights: self,
            key: key.clone(),
            wanted,
        })
    }

    /// What ends when the leader does, if there is one.
    pub(crate) fn leader_end(&self, key: &K) -> Option<watch::Receiver<()>> {
        let leaders = self.0.lock();
        let (leader, wanted) = leaders.get(key)?;
        wanted.increment();
        Some(leader.subscribe())
    }

    /// Leads, or waits until the leader is done and then returns nothing: look again whether the
    /// thing is still to be done. A leader's error is its own, not the waiters'.
    pub(crate) async fn lead_or_wait(&self, key: &K) -> Option<Leader<'_, K>> {
        let mut done = {
            let mut leaders = self.0.lock();
            match leaders.get(key) {
                None => {
                    let wanted = WaiterCount::default();
                    leaders.insert(key.clone(), (watch::channel(()).0, wanted.clone()));
                    return Some(Leader {
                        flights: self,
                        key: key.clone(),
                        wanted,
                    });
                }
                Some((leader, wanted)) => {
                    wanted.increment();
                    leader.subscribe()
                }
            }
        };
        // The leader never sends: its end closes the channel.
        let _ = done.changed().await;
        None
    }
}

impl<K: Eq + Hash> Leader<'_, K> {
    /// How many wait for this one.
    pub(crate) fn wanted(&self) -> &WaiterCount {
        &self.wanted
    }
}

impl<K: Eq + Hash> Drop for Leader<'_, K> {
    fn drop(&mut self) {
        let mut leaders = self.flights.0.lock();
        leaders.remove(&self.key);
    }
}

#[cfg(test)]
mod tests;
