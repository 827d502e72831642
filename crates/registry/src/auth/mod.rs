//! Authorization: which header a request carries, and where tokens come from.

pub(crate) mod challenge;
pub(crate) mod login;
pub(crate) mod scope;
pub(crate) mod token;

pub(crate) use self::scope::Scope;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use parking_lot::{Mutex, MutexGuard};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use secrecy::ExposeSecret as _;

use crate::{
    Error, Kind, Operation,
    auth::{
        challenge::{Challenge, wanted_actions},
        login::LoginInUse,
        token::{Token, fetch},
    },
    error::words,
    http::HttpClient,
    settings::{Credential, Login},
};

/// How long refused credentials are not tried again: Docker Hub locks an account after a few failed
/// logins.
const REFUSED_FOR: Duration = Duration::from_secs(600);

/// Maximum tokens that are kept for one registry.
const MOST_TOKENS: usize = 4096;
/// Maximum actions that a registry may require beside the usual ones, for one repository, and the
/// maximum length of one.
const MOST_ACTIONS: usize = 8;
const ACTION: usize = 64;

/// What a request is authorized with.
#[derive(Clone, Debug)]
pub(crate) enum Authorization {
    None,
    /// With the generation of the login.
    Basic(HeaderValue, u64),
    Bearer(Arc<Token>),
}

/// A token that is being fetched, or was. One fetch serves all requests that wait for it.
type Fetch = Shared<BoxFuture<'static, Result<Arc<Token>, Error>>>;

/// The authorization of one registry.
#[derive(Debug)]
pub(crate) struct Auth {
    login: LoginInUse,
    /// Whether deletions need a token with the `delete` action.
    deletes: AtomicBool,
    state: Mutex<AuthState>,
}

#[derive(Debug, Default)]
struct AuthState {
    challenge: Option<Challenge>,
    /// Actions that the registry requires beside the usual ones, by repository: Azure's ACR requires
    /// `metadata_read` for tag lists.
    extra_actions: HashMap<Arc<str>, BTreeSet<String>>,
    tokens: HashMap<Scope, CachedToken>,
    refused: Option<(Instant, Kind)>,
}

/// A fetch, and the generation of the login that it uses.
#[derive(Clone, Debug)]
struct CachedToken {
    fetch: Fetch,
    generation: u64,
}

impl CachedToken {
    /// Whether it is in-flight, or holds a token that has not expired.
    fn is_of_use(&self) -> bool {
        match self.fetch.peek() {
            None => true,
            Some(Ok(token)) => Instant::now() < token.renew_at,
            Some(Err(_)) => false,
        }
    }

    /// Whether a token is the one that was fetched.
    fn gave(&self, token: &Arc<Token>) -> bool {
        match self.fetch.peek() {
            Some(Ok(fetched)) => Arc::ptr_eq(fetched, token),
            _ => false,
        }
    }
}

impl AuthState {
    /// Drops expired tokens before the map grows. If it is full, one goes that nobody waits for.
    fn make_room(&mut self, scope: &Scope) {
        if self.tokens.contains_key(scope) {
            return;
        }
        if self.tokens.len() == self.tokens.capacity() || self.tokens.len() >= MOST_TOKENS {
            self.tokens.retain(|_, held| held.is_of_use());
        }
        if self.tokens.len() >= MOST_TOKENS {
            let mut tokens = self.tokens.iter();
            let fetched = tokens.find(|(_, held)| held.fetch.peek().is_some());
            if let Some(scope) = fetched.map(|(scope, _)| scope.clone()) {
                self.tokens.remove(&scope);
            }
        }
    }

    /// Remembers actions that a refusal asks for beyond those of the scope. Some registries always
    /// name every action, so that `push` is added only if a token without it was refused.
    fn require_actions(&mut self, scope: &Scope, used: &Authorization, wanted: Vec<String>) {
        let is_refused = matches!(used, Authorization::Bearer(_));
        let is_write = |action: &str| ["push", "delete", "*"].contains(&action);
        let usual = scope.actions();
        let extra = wanted.into_iter().filter(|action| {
            let is_usual = usual.split(',').any(|known| known == action);
            !is_usual && (is_refused || !is_write(action)) && action.len() <= ACTION
        });
        let extra: BTreeSet<String> = extra.take(MOST_ACTIONS).collect();
        let known = self.extra_actions.get(&scope.repository);
        let is_full = known.is_some_and(|known| known.len() >= MOST_ACTIONS)
            || self.extra_actions.len() >= MOST_TOKENS;
        if extra.is_empty() || is_full {
            return;
        }
        let known = self
            .extra_actions
            .entry(scope.repository.clone())
            .or_default();
        if !extra.is_subset(known) {
            known.extend(extra);
            self.tokens
                .retain(|held, _| held.repository != scope.repository);
        }
    }
}

/// Who a login is, without its secret.
#[derive(Debug)]
pub(crate) enum LoginKind {
    Anonymous,
    User(String),
    Token,
}

/// The authorization that a request needs.
enum RequiredAuth {
    Nothing,
    Basic,
    Token(CachedToken),
}

impl Auth {
    pub(crate) fn new(login: Login) -> Self {
        Self {
            login: LoginInUse::new(login),
            deletes: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    /// The authorization of a request. Fetches or renews a token if one is needed.
    pub(crate) async fn authorize(
        &self,
        http: &HttpClient,
        scope: &Scope,
    ) -> Result<Authorization, Error> {
        self.complete(http).await?;
        loop {
            let held = match self.need(http, scope)? {
                RequiredAuth::Nothing => return Ok(Authorization::None),
                RequiredAuth::Basic => return Ok(self.basic_for(&scope.repository)),
                RequiredAuth::Token(held) => held,
            };
            match held.fetch.clone().await {
                Ok(token) if Instant::now() < token.renew_at => {
                    if token.memory.is_none() {
                        self.forget(scope, &held.fetch);
                    }
                    return Ok(Authorization::Bearer(token));
                }
                Ok(_) => self.forget(scope, &held.fetch),
                Err(error) => {
                    self.forget(scope, &held.fetch);
                    self.renew(scope, held.generation, error).await?;
                }
            }
        }
    }

    /// Reads the configured login, if it could not be read so far.
    pub(crate) async fn complete(&self, http: &HttpClient) -> Result<(), Error> {
        let completed = self.login.complete().await;
        completed.map_err(|reason| {
            http.error(
                Operation::LogIn,
                http.name.to_string(),
                Kind::NoLogin(reason),
            )
        })
    }

    /// Learns from a 401. `Ok` if the request is worth a second try with what [`Self::authorize`]
    /// returns now, otherwise what the refusal means.
    pub(crate) fn refused(
        &self,
        scope: &Scope,
        used: &Authorization,
        headers: &HeaderMap,
        said: String,
    ) -> Result<(), Kind> {
        let offered = Challenge::read(headers);
        let mut state = self.lock();
        state.require_actions(scope, used, wanted_actions(headers, &scope.repository));
        match (&state.challenge, offered, used) {
            // Harbor answers an expired token with a Basic challenge: what was learned stays.
            (Some(Challenge::Bearer { .. }), offered, Authorization::Bearer(used)) => {
                // Another request may have been refused first, and a new token be held by now.
                if state.tokens.get(scope).is_some_and(|held| held.gave(used)) {
                    state.tokens.remove(scope);
                }
                // Its token server may be another one by now.
                if let Some(challenge @ Challenge::Bearer { .. }) = offered {
                    state.challenge = Some(challenge);
                }
                Ok(())
            }
            // What another request has learned meanwhile is to be tried first.
            (Some(Challenge::Bearer { .. }), _, Authorization::None) => Ok(()),
            (_, Some(Challenge::Basic), Authorization::None)
                if !self.login.is_basic(&scope.repository) =>
            {
                Err(Kind::Unauthorized(format!(
                    "the registry wants a login ({said})"
                )))
            }
            (_, Some(challenge), Authorization::None) => {
                state.challenge = Some(challenge);
                Ok(())
            }
            (_, _, Authorization::Basic(..)) => {
                let credential = self.login.credential_for(&scope.repository);
                Err(unauthorized(&credential, &said))
            }
            _ => Err(Kind::Denied(said)),
        }
    }

    /// Reads the login again after an error, if the login of this generation was refused and comes
    /// from a helper or a file. Returns any other error. A refusal is remembered, so that the login
    /// is not tried in a loop.
    pub(crate) async fn renew(
        &self,
        scope: &Scope,
        generation: u64,
        mut error: Error,
    ) -> Result<(), Error> {
        let said = match &*error.kind {
            Kind::Unauthorized(said) | Kind::Denied(said) if may_mean_an_old_login(&error.kind) => {
                said.clone()
            }
            _ => return Err(error),
        };
        match self.login.renew(generation).await {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(reason) => {
                *error.kind = Kind::Unauthorized(format!("{said}, and {reason}"));
            }
        }
        // An account that may write may lack the right to delete: the login is not wrong then.
        let is_usual = !scope.is_catalog() && !scope.deletes;
        let is_refusal = matches!(&*error.kind, Kind::Unauthorized(_)) && is_usual;
        if is_refusal && !matches!(self.login.credential(), Credential::Anonymous) {
            self.lock().refused = Some((Instant::now(), (*error.kind).clone()));
        }
        Err(error)
    }

    /// The kind of login that is configured.
    pub(crate) fn login_kind(&self) -> LoginKind {
        match self.login.credential() {
            Credential::Anonymous => LoginKind::Anonymous,
            Credential::Basic { username, .. } => LoginKind::User(username),
            Credential::IdentityToken(_) | Credential::RegistryToken(_) => LoginKind::Token,
        }
    }

    /// Whether there is anything to log in with.
    pub(crate) fn has_login(&self) -> bool {
        self.login.is_some()
    }

    /// Forgets a refused login, so that it is tried again.
    pub(crate) fn forget_refusal(&self) {
        self.lock().refused = None;
    }

    /// Whether deletions need a token with the `delete` action.
    pub(crate) fn requires_delete_scope(&self) -> bool {
        self.deletes.load(Ordering::Relaxed)
    }

    /// Remembers that a deletion passed with the `delete` action, and not without it.
    pub(crate) fn set_requires_delete_scope(&self) {
        self.deletes.store(true, Ordering::Relaxed);
    }

    /// Whether the registry uses tokens, as far as its responses showed.
    pub(crate) fn wants_tokens(&self) -> bool {
        matches!(self.lock().challenge, Some(Challenge::Bearer { .. }))
    }

    /// Whether the registry has asked for authorization so far.
    pub(crate) fn is_asked_for(&self) -> bool {
        self.lock().challenge.is_some()
    }

    /// Whether the registry asks for tokens in this name.
    pub(crate) fn is_service(&self, name: &str) -> bool {
        matches!(&self.lock().challenge, Some(Challenge::Bearer { service: Some(service), .. })
            if service == name)
    }

    /// The generation of the login that a request carried, or would carry now.
    pub(crate) fn generation(&self, used: &Authorization) -> u64 {
        match used {
            Authorization::Basic(_, generation) => *generation,
            _ => self.login.generation(),
        }
    }

    fn need(&self, http: &HttpClient, scope: &Scope) -> Result<RequiredAuth, Error> {
        let mut state = self.lock();
        if let Some((since, kind)) = &state.refused {
            if since.elapsed() < REFUSED_FOR {
                return Err(http.error(Operation::LogIn, http.name.to_string(), kind.clone()));
            }
            state.refused = None;
        }
        let (realm, service) = match &state.challenge {
            None => return Ok(RequiredAuth::Nothing),
            Some(Challenge::Basic) => return Ok(RequiredAuth::Basic),
            Some(Challenge::Bearer { realm, service }) => (realm.clone(), service.clone()),
        };
        let generation = self.login.generation();
        let extra = state.extra_actions.get(&scope.repository).cloned();
        let fetch = || {
            let credential = self.login.credential_for(&scope.repository);
            let texts = scope.texts_with(extra.as_ref());
            let fetch = fetch(http.clone(), credential, realm, service, texts);
            CachedToken {
                fetch: fetch.boxed().shared(),
                generation,
            }
        };
        state.make_room(scope);
        let held = state.tokens.entry(scope.clone()).or_insert_with(fetch);
        Ok(RequiredAuth::Token(held.clone()))
    }

    fn forget(&self, scope: &Scope, fetch: &Fetch) {
        let mut state = self.lock();
        if state
            .tokens
            .get(scope)
            .is_some_and(|held| held.fetch.ptr_eq(fetch))
        {
            state.tokens.remove(scope);
        }
    }

    /// The login itself, for interfaces beside the registry's that know no tokens.
    pub(crate) fn basic(&self) -> Authorization {
        self.basic_for("")
    }

    /// The login for a repository.
    fn basic_for(&self, repository: &str) -> Authorization {
        // Read first: a renewal in between then makes one try too many, not one too few.
        let generation = self.login.generation();
        match basic_header(&self.login.credential_for(repository)) {
            Some(value) => Authorization::Basic(value, generation),
            None => Authorization::None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, AuthState> {
        self.state.lock()
    }
}

impl Authorization {
    /// Adds the header to a request's.
    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        let value = match self {
            Self::None => return,
            Self::Basic(value, _) => Some(value.clone()),
            Self::Bearer(token) => Some(token.header.clone()),
        };
        headers.extend(value.map(|value| (AUTHORIZATION, value)));
    }
}

/// ECR answers 403 to an expired login, with `expired` in the body. A HEAD has no body.
fn may_mean_an_old_login(kind: &Kind) -> bool {
    match kind {
        Kind::Unauthorized(_) => true,
        Kind::Denied(said) => said.contains("expired") || *said == words(403, b""),
        _ => false,
    }
}

pub(crate) fn unauthorized(credential: &Credential, said: &str) -> Kind {
    Kind::Unauthorized(match credential {
        Credential::Anonymous => format!("the registry wants a login ({said})"),
        Credential::Basic { username, .. } => {
            format!("the registry refused the credentials of `{username}` ({said})")
        }
        Credential::IdentityToken(_) | Credential::RegistryToken(_) => {
            format!("the registry refused the identity token ({said})")
        }
    })
}

pub(crate) fn basic_header(credential: &Credential) -> Option<HeaderValue> {
    match credential {
        Credential::Basic { username, password } => {
            let pair = format!("{username}:{}", password.expose_secret());
            sensitive(&format!("Basic {}", STANDARD.encode(pair)))
        }
        _ => None,
    }
}

pub(crate) fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
