//! The login in use, and its renewal from where it is kept when the registry refuses it.

use std::time::{Duration, Instant};

use crate::settings::{Credential, Login, PathLogin, Renewal};
use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use parking_lot::{Mutex, MutexGuard};

/// Minimum age of a login that is renewed. One that was read a moment ago and is refused is wrong,
/// not expired.
const YOUNG: Duration = Duration::from_secs(60);

/// How long a helper that failed is not run again.
const PAUSE: Duration = Duration::from_secs(5);

/// One reading of a kept login, for all that wait for it.
type Reading = Shared<BoxFuture<'static, Result<Logins, String>>>;

/// The login of a registry as a whole, and those of its parts.
type Logins = (Credential, Vec<PathLogin>);

/// A registry's login. What a helper returned expires after hours, while the process runs on.
#[derive(Debug)]
pub(crate) struct LoginInUse {
    renewal: Option<Renewal>,
    state: Mutex<LoginState>,
}

#[derive(Debug)]
struct LoginState {
    credential: Credential,
    /// Those of parts of the registry, the longest paths first.
    paths: Vec<PathLogin>,
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
            state: Mutex::new(LoginState {
                credential: login.credential,
                paths: login.paths,
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

    /// What to log in with for a repository: the login of the longest path that it begins with.
    pub(crate) fn credential_for(&self, repository: &str) -> Credential {
        let state = self.lock();
        let is_within = |login: &&PathLogin| {
            let rest = repository.strip_prefix(login.path.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let own = state.paths.iter().find(is_within);
        own.map_or(&state.credential, |login| &login.credential)
            .clone()
    }

    /// Whether a repository has a name and a password.
    pub(crate) fn is_basic(&self, repository: &str) -> bool {
        matches!(self.credential_for(repository), Credential::Basic { .. })
    }

    /// Whether there is any login.
    pub(crate) fn is_some(&self) -> bool {
        let state = self.lock();
        !state.paths.is_empty() || !matches!(state.credential, Credential::Anonymous)
    }

    /// The generation of the login. [`Self::renew`] needs the one that was refused.
    pub(crate) fn generation(&self) -> u64 {
        self.lock().generation
    }

    /// Reads the login if it could not be read so far. Without it a registry may serve less, or
    /// answer 404. The error is the reason why it still cannot be read.
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

    /// Reads the login again after that of a generation was refused. One reading serves all. Returns
    /// whether there is a different one now. The error is the reason why it cannot be read.
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
        let (credential, paths) = read?;
        state.renewed = Some(Instant::now());
        state.is_pending = false;
        if credential == state.credential && paths == state.paths {
            return Ok(false);
        }
        (state.credential, state.paths) = (credential, paths);
        state.generation += 1;
        Ok(true)
    }

    fn lock(&self) -> MutexGuard<'_, LoginState> {
        self.state.lock()
    }
}

/// A helper is a program that is waited for, so that it has a thread of its own.
async fn read(renewal: Renewal) -> Result<Logins, String> {
    let read = tokio::task::spawn_blocking(move || renewal.renew()).await;
    read.unwrap_or_else(|error| Err(error.to_string()))
}
