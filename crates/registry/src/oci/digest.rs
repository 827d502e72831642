//! Content digests: their textual form and the hashing behind them.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256, Sha512, digest::common::hazmat::SerializableState};

/// The identity of content, `sha256:<64 hex digits>` or `sha512:<128 hex digits>`
/// ([descriptor.md](https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#digests)).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(Arc<str>);

/// A text that is not a digest this crate can verify.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a sha256 or sha512 digest")]
pub struct DigestError(String);

impl Digest {
    /// The SHA-256 digest of bytes at hand.
    pub fn of(bytes: &[u8]) -> Self {
        to_digest("sha256", &Sha256::digest(bytes))
    }

    /// The whole text, algorithm included.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The algorithm's name.
    pub fn algorithm(&self) -> &str {
        self.0
            .split_once(':')
            .map_or("", |(algorithm, _)| algorithm)
    }

    /// The first twelve hex digits, as people quote them.
    pub fn short(&self) -> &str {
        let start = self.algorithm().len() + 1;
        &self.0[start..start + 12]
    }

    /// A hasher that makes digests of the same algorithm.
    pub fn hasher(&self) -> Hasher {
        let state = match self.algorithm() {
            "sha512" => State::Sha512(Sha512::new()),
            _ => State::Sha256(Sha256::new()),
        };
        Hasher { state, length: 0 }
    }

    /// The hasher of this algorithm that has taken `length` bytes in and then saved its state;
    /// nothing where that is no such state.
    pub fn hasher_at(&self, length: u64, saved: &[u8]) -> Option<Hasher> {
        let state = match self.algorithm() {
            "sha512" => State::Sha512(restore(saved)?),
            _ => State::Sha256(restore(saved)?),
        };
        Some(Hasher { state, length })
    }

    /// Whether the bytes at hand have this digest.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        hasher.finish() == *self
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let length = match text.split_once(':') {
            Some(("sha256", hex)) => (hex, 64),
            Some(("sha512", hex)) => (hex, 128),
            _ => return Err(DigestError(shorten(text))),
        };
        let (hex, wanted) = length;
        let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if hex.len() == wanted && hex.bytes().all(is_hex) {
            Ok(Self(text.into()))
        } else {
            Err(DigestError(shorten(text)))
        }
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(150).collect()
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// A running hash over streamed bytes, which can be put down and taken up again.
#[derive(Clone, Debug)]
pub struct Hasher {
    state: State,
    length: u64,
}

#[derive(Clone, Debug)]
enum State {
    Sha256(Sha256),
    /// Registered by the specification and rarely met.
    Sha512(Sha512),
}

impl Hasher {
    /// Takes more bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        match &mut self.state {
            State::Sha256(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
    }

    /// Bytes taken in.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// What [`Digest::hasher_at`] continues from.
    pub fn save(&self) -> Vec<u8> {
        match &self.state {
            State::Sha256(state) => state.serialize().to_vec(),
            State::Sha512(state) => state.serialize().to_vec(),
        }
    }

    /// The digest of all bytes taken in.
    pub fn finish(self) -> Digest {
        match self.state {
            State::Sha256(state) => to_digest("sha256", &state.finalize()),
            State::Sha512(state) => to_digest("sha512", &state.finalize()),
        }
    }
}

fn restore<S: SerializableState>(saved: &[u8]) -> Option<S> {
    S::deserialize(saved.try_into().ok()?).ok()
}

fn to_digest(algorithm: &str, hash: &[u8]) -> Digest {
    use fmt::Write as _;
    let mut text = String::with_capacity(algorithm.len() + 1 + 2 * hash.len());
    text.push_str(algorithm);
    text.push(':');
    for byte in hash {
        let _ = write!(text, "{byte:02x}");
    }
    Digest(text.into())
}
