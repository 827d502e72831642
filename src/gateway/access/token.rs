//! Tokens of the gateway: signed, short-lived, and good for the repositories that they name.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{hmac, rand::SystemRandom};
use serde::{Deserialize, Serialize};

/// How long a token is good, in seconds. Clients ask for another one when a pull takes longer.
pub(crate) const LIFETIME: i64 = 300;
/// The only header that is accepted: `{"alg":"HS256","typ":"JWT"}`.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
/// Most bytes of a token that is looked at.
const TOKEN: usize = 16 << 10;

/// The key of this process. A restart makes all tokens void, and clients get new ones.
#[derive(Debug)]
pub(crate) struct TokenKey(hmac::Key);

/// What a token says.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct TokenClaims {
    /// The user; `None` for anonymous clients.
    #[serde(rename = "sub", skip_serializing_if = "Option::is_none", default)]
    pub(crate) user: Option<String>,
    /// A mark of the user's password: a new password makes the token void.
    #[serde(rename = "pwd")]
    pub(crate) password_mark: String,
    /// Seconds since 1970.
    #[serde(rename = "exp")]
    pub(crate) expires_at: i64,
    /// Repositories that it may pull, as the client wrote them.
    #[serde(rename = "pull")]
    pub(crate) repositories: Vec<String>,
}

impl TokenKey {
    /// A new random key. The system's random source does not fail after boot.
    pub(crate) fn new() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Self(key.unwrap_or_else(|_| unreachable!("the system has random bytes")))
    }

    /// A token for these claims.
    pub(crate) fn sign(&self, claims: &TokenClaims) -> String {
        let claims = serde_json::to_vec(claims).unwrap_or_default();
        let text = format!("{HEADER}.{}", URL_SAFE_NO_PAD.encode(claims));
        let tag = hmac::sign(&self.0, text.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// The claims of a token that this process signed and that is still good.
    pub(crate) fn open(&self, token: &str, now: i64) -> Option<TokenClaims> {
        if token.len() > TOKEN {
            return None;
        }
        let (text, tag) = token.rsplit_once('.')?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        hmac::verify(&self.0, text.as_bytes(), &tag).ok()?;
        let claims = text.strip_prefix(HEADER)?.strip_prefix('.')?;
        let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
        let claims: TokenClaims = serde_json::from_slice(&claims).ok()?;
        (now < claims.expires_at).then_some(claims)
    }

    /// A mark of some parts that says nothing of them without the key.
    pub(crate) fn mark(&self, parts: &[&str]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        // Not a prefix of any token's text.
        context.update(b"mark");
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        URL_SAFE_NO_PAD.encode(context.sign())
    }
}

#[cfg(test)]
mod tests;
