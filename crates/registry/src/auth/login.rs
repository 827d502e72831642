//! The login in use, and its renewal from where it is kept when the registry refuses it.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::settings::{Credential, Login, Renewal};
use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};

/// A login so young is not renewed again: what has just been given out and is refused is wrong,
/// not old.
const YOUNG: Duration = Duration::from_secs(60);

/// How long a helper that failed is left alone.
const PAUSE: Duration = Duration::from_secs(5);

/// One reading of a kept login, for all that wait for it.
type Reading = Shared<BoxFuture<'static, Result<Credential, String>>>;

/// A registry's login; what a helper gave out ends after hours, while the process goes on.
#[derive(Debug)]
pub(crate) struct LoginInUse {
    renewal: Option<Renewal>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    credential: Credential,
    /// Whether there is none yet.
    is_pending: bool,
    /// When it could not be had, and why.
    failed: Option<(Instant, String)>,
    /// Counts the renewals.
    generation: u64,
    renewed: Option<Instant>,
    reading: Option<Reading>,
}

impl LoginInUse {
    pub(crate) fn new(login: Login) -> Self {
        Self {
            renewal: login.renewal,
            state: Mutex::new(State {
                credential: login.credential,
                is_pending: login.is_pending,
                failed: None,
                generation: 0,
                renewed: None,
                reading: None,
            }),
        }
    }

    /// What to log in with now.
    pub(crate) fn credential(&self) -> Credential {
        self.lock().credential.clone()
    }

    /// Which login that is; [`Self::renew`] wants to know which one was refused.
    pub(crate) fn generation(&self) -> u64 {
        self.lock().generation
    }

    /// Reads the login if it could not be had so far: without it, a registry may serve less, or
    /// say that nothing is there. The error says why it still cannot.
    pub(crate) async fn complete(&self) -> Result<(), String> {
        let generation = {
            let state = self.lock();
            if !state.is_pending {
                return Ok(());
            }
            match &state.failed {
                Some((at, reason)) if at.elapsed() < PAUSE => return Err(reason.clone()),
                _ => state.generation,
            }
        };
        let renewed = self.renew(generation).await;
        renewed.map(|_| ()).inspect_err(|reason| {
            self.lock().failed = Some((Instant::now(), reason.clone()));
        })
    }

    /// Reads the login anew after that of a generation was refused; one reading serves all. Tells
    /// whether there is another one now, or why it cannot be read.
    pub(crate) async fn renew(&self, refused: u64) -> Result<bool, String> {
        let Some(renewal) = &self.renewal else {
            return Ok(false);
        };
        let reading = {
            let mut state = self.lock();
            if state.generation != refused {
                return Ok(true);
            }
            if state.renewed.is_some_and(|at| at.elapsed() < YOUNG) {
                return Ok(false);
            }
            let renewal = renewal.clone();
            state
                .reading
                .get_or_insert_with(|| read(renewal).boxed().shared())
                .clone()
        };
        let read = reading.await;
        let mut state = self.lock();
        if state.generation != refused {
            return Ok(true);
        }
        state.reading = None;
        let credential = read?;
        state.renewed = Some(Instant::now());
        state.is_pending = false;
        if credential == state.credential {
            return Ok(false);
        }
        state.credential = credential;
        state.generation += 1;
        Ok(true)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A helper is a program that is waited for, so that it has a thread of its own.
async fn read(renewal: Renewal) -> Result<Credential, String> {
    let read = tokio::task::spawn_blocking(move || renewal.renew()).await;
    read.unwrap_or_else(|error| Err(error.to_string()))
}
