//! A map that creates each value once, when its key is first asked for.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use parking_lot::Mutex;

/// Shared values by key. The map is locked while a value is created, so creating one must not wait.
/// For values that take time, store a `tokio::sync::OnceCell`.
#[derive(Debug)]
pub struct OnceMap<K, V>(Mutex<HashMap<K, Arc<V>>>);

impl<K: Clone + Eq + Hash, V> OnceMap<K, V> {
    /// The value of a key, created with its default if there is none.
    pub fn get(&self, key: &K) -> Arc<V>
    where
        V: Default,
    {
        self.get_or_create(key, V::default)
    }

    /// The value of a key, created if there is none.
    pub fn get_or_create(&self, key: &K, create: impl FnOnce() -> V) -> Arc<V> {
        let mut values = self.0.lock();
        if let Some(known) = values.get(key) {
            return known.clone();
        }
        let created = Arc::new(create());
        values.insert(key.clone(), created.clone());
        created
    }

    /// The value of a key, created if there is none. An error leaves the map as it was.
    pub fn get_or_try_create<E>(
        &self,
        key: &K,
        create: impl FnOnce() -> Result<V, E>,
    ) -> Result<Arc<V>, E> {
        let mut values = self.0.lock();
        if let Some(known) = values.get(key) {
            return Ok(known.clone());
        }
        let created = Arc::new(create()?);
        values.insert(key.clone(), created.clone());
        Ok(created)
    }

    /// Every value, in no order.
    pub fn values(&self) -> Vec<Arc<V>> {
        self.0.lock().values().cloned().collect()
    }

    /// Removes the keys that are not kept. Their values live on where they are in use.
    pub fn retain(&self, is_kept: impl Fn(&K) -> bool) {
        self.0.lock().retain(|key, _| is_kept(key));
    }
}

impl<K, V> Default for OnceMap<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V> FromIterator<(K, V)> for OnceMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let shared = pairs.into_iter().map(|(key, value)| (key, Arc::new(value)));
        Self(Mutex::new(shared.collect()))
    }
}

#[cfg(test)]
mod tests;
