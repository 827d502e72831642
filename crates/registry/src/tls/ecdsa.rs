//! ECDSA signatures that ring does not verify: on P-521, and with SHA-512 on the smaller curves.

use rustls::pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// The curve of a public key.
#[derive(Clone, Copy, Debug)]
enum Curve {
    P256,
    P384,
    P521,
}

/// The hash of what is signed.
#[derive(Clone, Copy, Debug)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// ECDSA on a curve, over a hash.
#[derive(Clone, Copy, Debug)]
struct Ecdsa(Curve, Hash);

/// What signs certificates beyond what ring verifies.
pub(super) static MORE: &[&dyn SignatureVerificationAlgorithm] = &[
    &Ecdsa(Curve::P256, Hash::Sha512),
    &Ecdsa(Curve::P384, Hash::Sha512),
    &Ecdsa(Curve::P521, Hash::Sha256),
    &Ecdsa(Curve::P521, Hash::Sha384),
    &Ecdsa(Curve::P521, Hash::Sha512),
];

/// What signs a handshake with a key on P-521.
pub(super) static P521_HANDSHAKE: &[&dyn SignatureVerificationAlgorithm] =
    &[&Ecdsa(Curve::P521, Hash::Sha512)];

impl Hash {
    fn of(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(message).to_vec(),
            Self::Sha384 => Sha384::digest(message).to_vec(),
            Self::Sha512 => Sha512::digest(message).to_vec(),
        }
    }
}

/// Verifies by one curve's types, whose names differ and whose functions do not.
macro_rules! verify {
    ($curve:ident, $key:expr, $hash:expr, $signature:expr) => {{
        use $curve::ecdsa::{DerSignature, VerifyingKey, signature::hazmat::PrehashVerifier as _};
        let key = VerifyingKey::from_sec1_bytes($key).map_err(|_| InvalidSignature)?;
        let signature = DerSignature::try_from($signature).map_err(|_| InvalidSignature)?;
        key.verify_prehash($hash, &signature)
            .map_err(|_| InvalidSignature)
    }};
}

impl SignatureVerificationAlgorithm for Ecdsa {
    fn verify_signature(
        &self,
        key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let hash = self.1.of(message);
        match self.0 {
            Curve::P256 => verify!(p256, key, &hash, signature),
            Curve::P384 => verify!(p384, key, &hash, signature),
            Curve::P521 => {
                // A hash that is shorter than the curve is a number with zeros before it
                // (FIPS 186-5, section 6.4.2).
                let mut wide = [0; 64];
                wide[64 - hash.len()..].copy_from_slice(&hash);
                verify!(p521, key, &wide, signature)
            }
        }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        match self.0 {
            Curve::P256 => alg_id::ECDSA_P256,
            Curve::P384 => alg_id::ECDSA_P384,
            Curve::P521 => alg_id::ECDSA_P521,
        }
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        match self.1 {
            Hash::Sha256 => alg_id::ECDSA_SHA256,
            Hash::Sha384 => alg_id::ECDSA_SHA384,
            Hash::Sha512 => alg_id::ECDSA_SHA512,
        }
    }
}
