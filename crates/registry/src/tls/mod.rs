//! How servers prove who they are: the system's CAs, those of `ca_file`, and a `ca_file` that is the
//! server's own certificate.

use std::sync::{Arc, LazyLock};

use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error,
    SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
    server::ParsedCertificate,
};
use rustls_platform_verifier::Verifier;

use crate::settings::ClientIdentity;

mod ecdsa;
mod validity;

/// What is signed with, and how: ring's algorithms, and the curves and hashes that it lacks.
///
/// OpenSSL and Go accept CAs on P-521, and SHA-512 on the smaller curves; ring verifies neither.
/// aws-lc-rs does, at the price of a C library that is built for minutes. These signatures are
/// checked once a connection, so that speed is nothing: RustCrypto's curves serve.
static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    let ring = ring::default_provider();
    let known = ring.signature_verification_algorithms;
    let all: Vec<_> = known
        .all
        .iter()
        .copied()
        .chain(ecdsa::MORE.iter().copied())
        .collect();
    let mut mapping: Vec<_> = known.mapping.to_vec();
    mapping.push((
        SignatureScheme::ECDSA_NISTP521_SHA512,
        ecdsa::P521_HANDSHAKE,
    ));
    Arc::new(CryptoProvider {
        signature_verification_algorithms: WebPkiSupportedAlgorithms {
            all: leak(all),
            mapping: leak(mapping),
        },
        ..ring
    })
});

/// Makes a list static; this happens once in a process.
fn leak<T>(list: Vec<T>) -> &'static [T] {
    Box::leak(list.into_boxed_slice())
}

/// The provider of cryptography that connections to registries use.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    PROVIDER.clone()
}

/// The TLS configuration of a registry. The error names the file that cannot be used.
pub(crate) fn client_config(
    ca_pem: Option<&[u8]>,
    identity: Option<&ClientIdentity>,
) -> Result<ClientConfig, String> {
    let own: Vec<CertificateDer<'static>> = match ca_pem {
        Some(pem) => CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|error| format!("its ca_file cannot be used: {error}"))?,
        None => Vec::new(),
    };
    let unusable = |error: Error| match own.is_empty() {
        true => format!(
            "no CA certificate of this system can be used: {error}; install ca-certificates"
        ),
        false => format!("its ca_file cannot be used: {error}"),
    };
    let roots = Verifier::new_with_extra_roots(own.clone(), provider()).map_err(unusable)?;
    let verifier = Arc::new(OwnOrKnown { own, known: roots });
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let wrong = |error: String| format!("its client_cert cannot be used: {error}");
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain = CertificateDer::pem_slice_iter(identity.pem()).collect::<Result<_, _>>();
            let chain: Vec<_> = chain.map_err(|error| wrong(error.to_string()))?;
            let key = PrivateKeyDer::from_pem_slice(identity.pem());
            let key = key.map_err(|error| wrong(error.to_string()))?;
            let built = builder.with_client_auth_cert(chain, key);
            built.map_err(|error| wrong(error.to_string()))?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Trusts a server whose certificate is one of its own, byte for byte, as OpenSSL and Go do; any
/// other by its CA. The name and the dates count in both cases.
#[derive(Debug)]
struct OwnOrKnown {
    own: Vec<CertificateDer<'static>>,
    known: Verifier,
}

impl ServerCertVerifier for OwnOrKnown {
    fn verify_server_cert(
        &self,
        server: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !self.own.iter().any(|own| own.as_ref() == server.as_ref()) {
            return self
                .known
                .verify_server_cert(server, between, name, ocsp, now);
        }
        verify_server_name(&ParsedCertificate::try_from(server)?, name)?;
        match validity::of(server.as_ref()) {
            None => Err(CertificateError::BadEncoding.into()),
            Some((from, _)) if now.as_secs() < from => Err(CertificateError::NotValidYet.into()),
            Some((_, until)) if now.as_secs() > until => Err(CertificateError::Expired.into()),
            Some(_) => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.known
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.known
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.known.supported_verify_schemes()
    }
}

/// What is wrong with a server's certificate, and what to do; `None` for other failures.
pub(crate) fn explain(error: &Error) -> Option<String> {
    match error {
        Error::InvalidCertificate(certificate) => Some(explain_certificate(certificate)),
        Error::PeerIncompatible(reason) => Some(format!(
            "the server offers no TLS that is supported ({reason:?}); it needs TLS 1.2 or 1.3 with \
             ECDHE on X25519, P-256 or P-384"
        )),
        Error::AlertReceived(AlertDescription::HandshakeFailure) => Some(
            "the server found no TLS in common; it needs TLS 1.2 or 1.3, and a certificate with an RSA \
             key or one on P-256, P-384, P-521 or Ed25519"
                .to_owned(),
        ),
        _ => None,
    }
}

fn explain_certificate(certificate: &CertificateError) -> String {
    let text = match certificate {
        CertificateError::UnknownIssuer => {
            "the server's certificate is signed by a CA that is not trusted; add `ca_file` with this CA"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate, or its CA's, has expired; renew it, or set this machine's clock"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet; set this machine's clock"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            return format!(
                "the server's certificate is for another name ({certificate}); issue one whose \
                 subjectAltName has this host, the common name does not count"
            );
        }
        CertificateError::BadSignature => {
            "the signature on the server's certificate does not fit its CA, or one of them has an RSA \
             key of fewer than 2048 bits; issue them with 2048 bits or more, and see that `ca_file` has \
             no older CA of the same name"
        }
        CertificateError::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id,
            ..
        } => return unsupported(signature_words(signature_algorithm_id)),
        CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            return unsupported("by a key of another curve");
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            NOT_FOR_SERVERS
        }
        other => return explain_other(other),
    };
    text.to_owned()
}

const NOT_FOR_SERVERS: &str = "the server's certificate is not one for servers; issue it with \
                               `serverAuth` in its extendedKeyUsage, or without this extension";

fn unsupported(how: &str) -> String {
    format!(
        "the server's certificate, or a CA's, is signed in a way that is not supported ({how}); issue it \
         by an RSA CA of 2048 to 8192 bits, or one on P-256, P-384, P-521 or Ed25519, with SHA-256, \
         SHA-384 or SHA-512"
    )
}

/// An algorithm of signatures, by the identifier that begins its DER
/// ([RFC 8017](https://www.rfc-editor.org/rfc/rfc8017#appendix-C),
/// [RFC 5758](https://www.rfc-editor.org/rfc/rfc5758#section-3.2)).
fn signature_words(id: &[u8]) -> &'static str {
    const RSA: [u8; 10] = [6, 9, 42, 134, 72, 134, 247, 13, 1, 1];
    match id.strip_prefix(&RSA).and_then(<[u8]>::first) {
        Some(4) => return "RSA with MD5",
        Some(5) => return "RSA with SHA-1",
        Some(10) => {
            return "RSA-PSS whose salt is not as long as its hash, or by a key for PSS only";
        }
        Some(14) => return "RSA with SHA-224",
        _ => {}
    }
    match id {
        [6, 7, 42, 134, 72, 206, 61, 4, 1, ..] => "ECDSA with SHA-1",
        [6, 8, 42, 134, 72, 206, 61, 4, 3, 1, ..] => "ECDSA with SHA-224",
        [6, 3, 43, 101, 113, ..] => "Ed448",
        _ => "an algorithm without a usual name",
    }
}

/// What webpki finds and rustls has no name for.
fn explain_other(error: &CertificateError) -> String {
    let text = error.to_string();
    let known = [
        (
            "CaUsedAsEndEntity",
            "the server's certificate is itself a CA (basicConstraints CA:TRUE); name this very certificate \
             as `ca_file`, or issue a leaf with CA:FALSE",
        ),
        (
            "UnsupportedCertVersion",
            "the server's certificate is one of X.509 version 1; issue one of version 3, with a subjectAltName",
        ),
        (
            "UnsupportedCriticalExtension",
            "the server's certificate has a critical extension that is not supported; issue it without, or not critical",
        ),
        ("Eku", NOT_FOR_SERVERS),
        (
            "NameConstraintViolation",
            "the CA of the server's certificate may not sign for this name (its nameConstraints); use another CA",
        ),
        (
            "PathLenConstraintViolated",
            "there are more CAs between the server's certificate and the trusted one than that allows (pathlen)",
        ),
    ];
    let found = known.iter().find(|(name, _)| text.contains(name));
    found.map_or_else(
        || format!("the server's certificate cannot be verified: {text}"),
        |(_, words)| (*words).to_owned(),
    )
}

#[cfg(test)]
mod tests;
