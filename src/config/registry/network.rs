//! How a registry is reached: its endpoint, its proxy, the IP family, a client's certificate.

use std::{ops::RangeInclusive, path::Path, time::Duration};

use bytesize::ByteSize;
use rustls::{
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};
use toml::Spanned;
use url::Url;

use crate::{
    config::parse::{
        bounded_file::{self, MAX_FILE_BYTES},
        diagnostics::Problems,
    },
    registry::settings::{ClientIdentity, IpFamily, Proxy},
};

/// Sizes of a chunk that make sense, in bytes.
const CHUNKS: RangeInclusive<u64> = 64 << 10..=4 << 30;

/// Reads `proxy`. What it holds is never shown: there may be a password in it.
pub(crate) fn proxy(written: Option<&Spanned<String>>, problems: &mut Problems) -> Proxy {
    const HELP: &str = "write \"direct\", or a URL such as \"socks5h://127.0.0.1:1080\"; the schemes \
                        are http, https, socks5 and socks5h";
    let Some(written) = written else {
        return Proxy::Environment;
    };
    if written.get_ref() == "direct" {
        return Proxy::Direct;
    }
    if written.get_ref().contains('@') {
        problems.hide(written.span());
    }
    let wrong = match Url::parse(written.get_ref()) {
        Err(error) => format!("`proxy` is no URL: {error}"),
        Ok(url) if !matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") => {
            "`proxy` has an unknown scheme".to_owned()
        }
        Ok(url) if url.host_str().is_none_or(str::is_empty) => "`proxy` names no host".to_owned(),
        Ok(url) if !matches!(url.path(), "" | "/") || url.query().is_some() => {
            "`proxy` has more than a host and a port".to_owned()
        }
        Ok(url) => return Proxy::Url(String::from(url).into()),
    };
    problems.error(written.span(), wrong, HELP);
    Proxy::Environment
}

/// Reads `ip`.
pub(crate) fn ip_family(written: Option<&Spanned<String>>, problems: &mut Problems) -> IpFamily {
    let Some(written) = written else {
        return IpFamily::Any;
    };
    match written.get_ref().as_str() {
        "any" => IpFamily::Any,
        "4" => IpFamily::V4,
        "6" => IpFamily::V6,
        other => {
            let message = format!("`ip = \"{other}\"` is no family of addresses");
            problems.error(written.span(), message, "write \"4\", \"6\" or \"any\"");
            IpFamily::Any
        }
    }
}

/// Reads `connections`.
pub(crate) fn connections(
    written: Option<&Spanned<i64>>,
    default: usize,
    problems: &mut Problems,
) -> usize {
    let Some(written) = written else {
        return default;
    };
    match usize::try_from(*written.get_ref()) {
        Ok(count @ 1..=256) => count,
        _ => {
            let message = format!("`connections = {}` is out of range", written.get_ref());
            problems.error(written.span(), message, "write a number from 1 to 256");
            default
        }
    }
}

/// Reads `stall`.
pub(crate) fn stall(
    written: Option<&Spanned<String>>,
    default: Duration,
    problems: &mut Problems,
) -> Duration {
    let Some(written) = written else {
        return default;
    };
    match humantime::parse_duration(written.get_ref()) {
        Ok(stall) if !stall.is_zero() => stall,
        _ => {
            let message = format!("`{}` is not a duration", written.get_ref());
            problems.error(written.span(), message, "write a duration such as \"30s\"");
            default
        }
    }
}

/// Reads `chunk`, in bytes.
pub(crate) fn chunk(
    written: Option<&Spanned<String>>,
    default: u64,
    problems: &mut Problems,
) -> u64 {
    let Some(written) = written else {
        return default;
    };
    match written.get_ref().parse() {
        Ok(ByteSize(bytes)) if CHUNKS.contains(&bytes) => bytes,
        _ => {
            let message = format!("`chunk = \"{}\"` is no size for a chunk", written.get_ref());
            let help = "write a size from \"64 KiB\" to \"4 GiB\", such as \"32 MiB\"";
            problems.error(written.span(), message, help);
            default
        }
    }
}

/// Reads `endpoint`: only an origin, since the API's paths begin at the root.
pub(crate) fn endpoint(
    written: Option<&Spanned<String>>,
    plain_http: Option<&Spanned<bool>>,
    problems: &mut Problems,
) -> Option<Url> {
    let written = written?;
    let wrong = match Url::parse(written.get_ref()) {
        Err(error) => format!("`endpoint` is no URL: {error}"),
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            problems.hide(written.span());
            "`endpoint` holds a login".to_owned()
        }
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            "`endpoint` has an unknown scheme".to_owned()
        }
        Ok(url) if url.path() != "/" || url.query().is_some() || url.fragment().is_some() => {
            "`endpoint` has more than a host and a port".to_owned()
        }
        Ok(url) => {
            if let Some(plain) = plain_http {
                let help = "leave it out: `endpoint` says http or https";
                problems.error(plain.span(), "`plain_http` beside an `endpoint`", help);
            }
            return Some(url);
        }
    };
    let help = "write scheme and host, as in \"https://other.host\"";
    problems.error(written.span(), wrong, help);
    None
}

/// Reads `client_cert` and `client_key`, and holds them against each other.
pub(crate) fn client_identity(
    certificate: Option<&Spanned<String>>,
    key: Option<&Spanned<String>>,
    problems: &mut Problems,
) -> Option<ClientIdentity> {
    let (certificate, key) = match (certificate, key) {
        (None, None) => return None,
        (Some(single), None) => {
            let help = "add `client_key` with the PEM file of its private key";
            problems.error(single.span(), "`client_cert` without a `client_key`", help);
            return None;
        }
        (None, Some(single)) => {
            let help = "add `client_cert` with the PEM file of its certificate";
            problems.error(single.span(), "`client_key` without a `client_cert`", help);
            return None;
        }
        (Some(certificate), Some(key)) => (certificate, key),
    };
    let chain = read_chain(certificate, problems);
    let private = read_key(key, problems);
    let ((chain_pem, chain), (key_pem, private)) = (chain?, private?);
    match CertifiedKey::from_der(chain, private, &ring::default_provider()) {
        Ok(_) => Some(ClientIdentity::from_pem(format!("{chain_pem}\n{key_pem}"))),
        Err(error) => {
            let message = format!("`client_key` does not go with `client_cert`: {error}");
            let help = "name the key that the certificate was made for";
            problems.error(key.span(), message, help);
            None
        }
    }
}

fn read_chain(
    file: &Spanned<String>,
    problems: &mut Problems,
) -> Option<(String, Vec<CertificateDer<'static>>)> {
    let read = bounded_file::read_text(Path::new(file.get_ref()), MAX_FILE_BYTES);
    let read = read.map_err(|error| error.to_string());
    let wrong = match read {
        Err(error) => error,
        Ok(pem) => {
            match CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>() {
                Ok(chain) if !chain.is_empty() => return Some((pem, chain)),
                _ => "no certificate in it".to_owned(),
            }
        }
    };
    let message = format!("`client_cert` {}: {wrong}", file.get_ref());
    let help = "name a readable PEM file with the certificate, and those between it and its CA";
    problems.error(file.span(), message, help);
    None
}

fn read_key(
    file: &Spanned<String>,
    problems: &mut Problems,
) -> Option<(String, PrivateKeyDer<'static>)> {
    let read = bounded_file::read_text(Path::new(file.get_ref()), MAX_FILE_BYTES);
    let read = read.map_err(|error| error.to_string());
    let (wrong, help) = match read {
        Err(error) => (
            error,
            "name a PEM file with the key, readable for this user",
        ),
        Ok(pem) => match PrivateKeyDer::from_pem_slice(pem.as_bytes()) {
            Ok(key) => return Some((pem, key)),
            Err(_) if pem.contains("ENCRYPTED") => (
                "the key is encrypted".to_owned(),
                "decrypt it with `openssl pkey`, and keep it readable for this user only",
            ),
            Err(_) => (
                "no private key in it".to_owned(),
                "name a PEM file with the key, readable for this user",
            ),
        },
    };
    let message = format!("`client_key` {}: {wrong}", file.get_ref());
    problems.error(file.span(), message, help);
    None
}
