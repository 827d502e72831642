//! The certificate of the listener, read again when its files change.

use std::{path::Path, sync::Arc};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use crate::{
    config::{TlsFiles, parse::fingerprint::FileFingerprint},
    registry::settings::bounded_file::{self, MAX_FILE_BYTES},
};

/// The certificate in force.
#[derive(Debug)]
pub(crate) struct ListenerCertificate {
    current: ArcSwap<CertifiedKey>,
    files: TlsFiles,
    read: ArcSwap<[Option<FileFingerprint>; 2]>,
}

impl ListenerCertificate {
    /// Reads a certificate and its key.
    pub(crate) fn read(files: &TlsFiles) -> Result<Arc<Self>, String> {
        let read = fingerprints(files);
        Ok(Arc::new(Self {
            current: ArcSwap::from_pointee(certified_key(files)?),
            files: files.clone(),
            read: ArcSwap::from_pointee(read),
        }))
    }

    /// Reads the files again if they changed. The old certificate stays if the new one is wrong.
    pub(crate) fn refresh(&self) {
        let now = fingerprints(&self.files);
        if **self.read.load() == now {
            return;
        }
        self.read.store(Arc::new(now));
        match certified_key(&self.files) {
            Ok(key) => {
                self.current.store(Arc::new(key));
                tracing::info!(
                    "the gateway uses the new certificate of {}",
                    self.files.cert_file.display()
                );
            }
            Err(error) => tracing::error!("the gateway keeps its old certificate: {error}"),
        }
    }

    /// What connections are accepted with. Clients that speak HTTP/2 get it.
    pub(crate) fn server_config(self: &Arc<Self>) -> Result<ServerConfig, String> {
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_no_client_auth();
        let mut config = config.with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl ResolvesServerCert for ListenerCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

fn certified_key(files: &TlsFiles) -> Result<CertifiedKey, String> {
    let wrong = |path: &Path, what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
    let read = |path: &Path| {
        bounded_file::read_bytes(path, MAX_FILE_BYTES).map_err(|error| wrong(path, &error))
    };
    let chain = CertificateDer::pem_slice_iter(&read(&files.cert_file)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| wrong(&files.cert_file, &error))?;
    if chain.is_empty() {
        return Err(wrong(&files.cert_file, &"no certificate in it"));
    }
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key_file)?);
    let key = key.map_err(|error| wrong(&files.key_file, &error))?;
    let provider = ring::default_provider();
    CertifiedKey::from_der(chain, key, &provider).map_err(|error| wrong(&files.key_file, &error))
}

fn fingerprints(files: &TlsFiles) -> [Option<FileFingerprint>; 2] {
    [&files.cert_file, &files.key_file].map(|path| FileFingerprint::of(path))
}
