//! Bounded memory of what was looked at: the oldest half is forgotten at a time.

use std::{collections::HashMap, hash::Hash, mem};

use parking_lot::{Mutex, MutexGuard};

/// A map of two generations. What is used moves to the young one; once that is full, the old one is
/// forgotten.
#[derive(Debug)]
pub(crate) struct GenerationCache<K, V> {
    generations: Mutex<Generations<K, V>>,
    /// The weight of one generation.
    most: usize,
}

#[derive(Debug)]
struct Generations<K, V> {
    young: HashMap<K, (V, usize)>,
    old: HashMap<K, (V, usize)>,
    weight: usize,
}

impl<K: Eq + Hash + Clone, V: Clone> GenerationCache<K, V> {
    /// Holds up to twice this weight.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            generations: Mutex::new(Generations {
                young: HashMap::new(),
                old: HashMap::new(),
                weight: 0,
            }),
            most,
        }
    }

    /// What is known of a key.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.lock().get(key, self.most)
    }

    /// What is known of a key, or what is made for it now.
    pub(crate) fn get_or_insert(&self, key: &K, new: impl FnOnce() -> V) -> V {
        let mut generations = self.lock();
        if let Some(known) = generations.get(key, self.most) {
            return known;
        }
        let value = new();
        generations.insert(key.clone(), value.clone(), 1, self.most);
        value
    }

    /// Takes note of a value.
    pub(crate) fn insert(&self, key: K, value: V, weight: usize) {
        let mut generations = self.lock();
        generations.insert(key, value, weight, self.most);
    }
}

impl<K, V> GenerationCache<K, V> {
    fn lock(&self) -> MutexGuard<'_, Generations<K, V>> {
        self.generations.lock()
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Generations<K, V> {
    fn get(&mut self, key: &K, most: usize) -> Option<V> {
        if let Some((value, _)) = self.young.get(key) {
            return Some(value.clone());
        }
        let (value, weight) = self.old.remove(key)?;
        self.insert(key.clone(), value.clone(), weight, most);
        Some(value)
    }

    fn insert(&mut self, key: K, value: V, weight: usize, most: usize) {
        if self.weight + weight > most {
            self.old = mem::take(&mut self.young);
            self.weight = 0;
        }
        self.weight += weight;
        if let Some((_, before)) = self.young.insert(key, (value, weight)) {
            self.weight -= before;
        }
    }
}
