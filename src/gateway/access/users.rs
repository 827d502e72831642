//! Passwords: checked off the async threads, few at a time, and for one address rarely.

use std::{
    net::IpAddr,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::{
    config::{GatewayUsers, UserTable, parse::fingerprint::FileFingerprint},
    gateway::{access::token::TokenKey, cache::GenerationCache},
    peers::network,
};

/// Passwords of one address that are checked at once after a pause, and how many come back a second.
const BURST: f64 = 10.0;
const PER_SECOND: f64 = 0.2;
/// Addresses whose attempts are remembered in one generation.
const ADDRESSES: usize = 10_000;
/// Logins that are remembered in one generation.
const LOGINS: usize = 1_000;
/// How long a password waits for its turn.
const TURN: Duration = Duration::from_secs(5);

/// The users in force, and what is known of passwords.
#[derive(Debug)]
pub(crate) struct Users {
    table: ArcSwapOption<UserTable>,
    /// Which file was read, and what it was then.
    read: Mutex<Option<(PathBuf, Option<FileFingerprint>)>>,
    /// Marks of logins that were right: bcrypt is slow on purpose, and clients log in for each pull.
    good: GenerationCache<String, ()>,
    attempts: GenerationCache<IpAddr, Arc<Mutex<(f64, Instant)>>>,
    turns: Arc<Semaphore>,
}

/// Why a login is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoginRefusal {
    /// No such user.
    Unknown,
    /// The password is another one.
    Wrong,
    /// Too many passwords of this address, or of all, were checked lately.
    TooMany,
}

impl Default for Users {
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self {
            table: ArcSwapOption::empty(),
            read: Mutex::default(),
            good: GenerationCache::new(LOGINS),
            attempts: GenerationCache::new(ADDRESSES),
            // A flood of passwords leaves most of the CPU to pulls.
            turns: Arc::new(Semaphore::new((cores / 4).max(1))),
        }
    }
}

impl Users {
    /// Reads the file again if it is another one. The old users stay if the new file is wrong.
    pub(crate) fn refresh(&self, users: Option<&GatewayUsers>) {
        let Some(users) = users else {
            self.table.store(None);
            *self.read.lock() = None;
            return;
        };
        let now = Some((users.file.clone(), FileFingerprint::of(&users.file)));
        let before = std::mem::replace(&mut *self.read.lock(), now.clone());
        if before == now {
            return;
        }
        let path = users.file.display();
        match UserTable::read(&users.file) {
            Ok(table) => {
                if before.is_some() {
                    tracing::info!("the gateway has {} users of {path}", table.len());
                }
                self.table.store(Some(Arc::new(table)));
            }
            Err(error) => {
                tracing::error!("users of the gateway, {path}: {error}; the old ones stay");
            }
        }
    }

    /// The mark of a user's password, unless there is no such user any more.
    pub(crate) fn mark(&self, key: &TokenKey, name: &str) -> Option<String> {
        let hash = self.table.load().as_ref()?.hash(name)?;
        Some(key.mark(&[name, &hash]))
    }

    /// Checks a password.
    pub(crate) async fn check(
        &self,
        key: &TokenKey,
        client: IpAddr,
        (name, password): (&str, &str),
    ) -> Result<(), LoginRefusal> {
        let known = self
            .table
            .load()
            .as_ref()
            .and_then(|table| table.hash(name));
        let is_known = known.is_some();
        let hash = known.or_else(|| self.table.load().as_ref()?.any_hash());
        let Some(hash) = hash else {
            return Err(LoginRefusal::Unknown);
        };
        let mark = key.mark(&[name, password, &hash]);
        if is_known && self.good.get(&mark).is_some() {
            return Ok(());
        }
        let attempts = self.attempt(client).ok_or(LoginRefusal::TooMany)?;
        let turn = tokio::time::timeout(TURN, self.turns.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(LoginRefusal::TooMany);
        };
        let password = password.to_owned();
        let checked = tokio::task::spawn_blocking(move || {
            // Kept until the work is done, also if the client has left.
            let _turn = turn;
            bcrypt::verify(password, &hash).unwrap_or(false)
        });
        match (checked.await.unwrap_or(false), is_known) {
            (true, true) => {
                self.good.insert(mark, (), 1);
                let mut attempts = attempts.lock();
                attempts.0 = (attempts.0 + 1.0).min(BURST);
                Ok(())
            }
            (_, false) => Err(LoginRefusal::Unknown),
            (false, true) => Err(LoginRefusal::Wrong),
        }
    }

    /// Whether there is no such user.
    pub(crate) fn is_unknown(&self, name: &str) -> bool {
        let table = self.table.load();
        table
            .as_ref()
            .is_none_or(|table| table.hash(name).is_none())
    }

    /// Takes one attempt of an address, if it has one left.
    fn attempt(&self, client: IpAddr) -> Option<Arc<Mutex<(f64, Instant)>>> {
        let new = || Arc::new(Mutex::new((BURST, Instant::now())));
        let attempts = self.attempts.get_or_insert(&network(client), new);
        let mut left = attempts.lock();
        let now = Instant::now();
        let gained = now.duration_since(left.1).as_secs_f64() * PER_SECOND;
        *left = ((left.0 + gained).min(BURST), now);
        if left.0 < 1.0 {
            return None;
        }
        left.0 -= 1.0;
        drop(left);
        Some(attempts)
    }
}

#[cfg(test)]
mod tests;
