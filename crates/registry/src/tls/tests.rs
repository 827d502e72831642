use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

use crate::tls::*;

const HOST: &str = "r.example";
/// In January 2026.
const NOW: u64 = 1_768_000_000;

/// A certificate for the host, and its key; `change` makes it special.
fn certificate(change: impl FnOnce(&mut CertificateParams)) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let params = params(change);
    (params.self_signed(&key).unwrap(), key)
}

fn params(change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = CertificateParams::new(vec![HOST.to_owned()]).unwrap();
    params.not_before = date_time_ymd(2025, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    change(&mut params);
    params
}

fn verifier(ca: &rcgen::Certificate) -> OwnOrKnown {
    let own = vec![ca.der().clone()];
    let known = Verifier::new_with_extra_roots(own.clone(), provider()).unwrap();
    OwnOrKnown { own, known }
}

/// What a verifier makes of a server that shows a certificate for `name`.
fn verify(
    by: &OwnOrKnown,
    shown: &rcgen::Certificate,
    name: &str,
    now: u64,
) -> Result<(), CertificateError> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now));
    match by.verify_server_cert(shown.der(), &[], &name, &[], now) {
        Ok(_) => Ok(()),
        Err(Error::InvalidCertificate(error)) => Err(error),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn own_certificate_is_trusted_whether_or_not_it_is_a_ca() {
    for is_ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        let (own, _) = certificate(|params| params.is_ca = is_ca);
        assert_eq!(verify(&verifier(&own), &own, HOST, NOW), Ok(()));
    }
}

#[test]
fn name_and_dates_of_own_certificate_count() {
    let (own, _) = certificate(|_| {});
    let verifier = verifier(&own);
    let explained = |name, now| {
        let error = verify(&verifier, &own, name, now).unwrap_err();
        explain(&Error::InvalidCertificate(error)).unwrap()
    };
    assert!(explained("other.example", NOW).contains("for another name"));
    assert!(explained(HOST, NOW + 400 * 24 * 3600).contains("has expired"));
    assert!(explained(HOST, NOW - 400 * 24 * 3600).contains("not valid yet"));
}

#[test]
fn other_certificate_of_the_same_name_is_not_trusted() {
    let (own, _) = certificate(|_| {});
    let (other, _) = certificate(|_| {});
    let error = verify(&verifier(&own), &other, HOST, NOW).unwrap_err();
    let text = explain(&Error::InvalidCertificate(error)).unwrap();
    assert!(
        text.contains("not trusted") || text.contains("does not fit"),
        "{text}"
    );
}

#[test]
fn what_a_ca_signs_is_trusted() {
    for algorithm in [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ED25519,
    ] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let ca = params(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
        let certificate = ca.self_signed(&key).unwrap();
        let issuer = Issuer::new(ca, key);
        let leaf = params(|_| {});
        let leaf = leaf
            .signed_by(&KeyPair::generate().unwrap(), &issuer)
            .unwrap();
        assert_eq!(verify(&verifier(&certificate), &leaf, HOST, NOW), Ok(()));
    }
}

#[test]
fn purpose_of_other_kinds_is_named() {
    let key = KeyPair::generate().unwrap();
    let ca = params(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    let certificate = ca.self_signed(&key).unwrap();
    let issuer = Issuer::new(ca, key);
    let explained = |change: fn(&mut CertificateParams)| {
        let leaf = params(change);
        let leaf = leaf
            .signed_by(&KeyPair::generate().unwrap(), &issuer)
            .unwrap();
        let error = verify(&verifier(&certificate), &leaf, HOST, NOW).unwrap_err();
        explain(&Error::InvalidCertificate(error)).unwrap()
    };
    let client = explained(|params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    assert!(client.contains("`serverAuth`"), "{client}");
    let ca = explained(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    assert!(ca.contains("is itself a CA"), "{ca}");
}

#[test]
fn unsupported_signatures_have_names_and_no_numbers() {
    let rows: [(&[u8], &str); 5] = [
        (
            &[6, 9, 42, 134, 72, 134, 247, 13, 1, 1, 5, 5, 0],
            "RSA with SHA-1",
        ),
        (
            &[6, 9, 42, 134, 72, 134, 247, 13, 1, 1, 14, 5, 0],
            "RSA with SHA-224",
        ),
        (
            &[6, 9, 42, 134, 72, 134, 247, 13, 1, 1, 10, 48, 53],
            "RSA-PSS",
        ),
        (&[6, 3, 43, 101, 113], "Ed448"),
        (&[6, 1, 2], "without a usual name"),
    ];
    for (id, words) in rows {
        let text = explain_certificate(&CertificateError::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id: id.to_vec(),
            supported_algorithms: Vec::new(),
        });
        assert!(text.contains(words) && !text.contains("134"), "{text}");
        assert!(text.contains("SHA-256"), "{text}");
    }
}

#[test]
fn small_rsa_keys_and_old_versions_are_explained() {
    let small = explain_certificate(&CertificateError::BadSignature);
    assert!(small.contains("fewer than 2048 bits"), "{small}");
    let alert = explain(&Error::AlertReceived(AlertDescription::HandshakeFailure));
    assert!(alert.unwrap().contains("no TLS in common"));
    assert_eq!(
        explain(&Error::AlertReceived(AlertDescription::InternalError)),
        None
    );
}

#[test]
fn what_is_no_certificate_is_an_error_that_names_the_key() {
    let broken = b"-----BEGIN CERTIFICATE-----\nnot base64!\n-----END CERTIFICATE-----\n";
    let error = client_config(Some(broken), None).unwrap_err();
    assert!(error.contains("ca_file"), "{error}");
}
