//! Servers behind TLS, of one private CA, that note who showed them a client certificate.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject as _};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    DigitallySignedStruct, DistinguishedName, ServerConfig, ServerConnection, SignatureScheme,
    StreamOwned, client::danger::HandshakeSignatureValid, crypto::ring,
};
use tempfile::TempDir;

/// A CA that the system does not know, and a client's certificate.
pub struct Authority {
    directory: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// What a server saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Handshakes that succeeded, by whether the client had a certificate.
    pub handshakes: Vec<bool>,
    /// Heads of requests.
    pub heads: Vec<String>,
}

/// A running server.
pub struct Witness {
    pub origin: String,
    seen: Arc<Mutex<Seen>>,
}

impl Authority {
    pub fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = ca.self_signed(&key).unwrap().pem();
        fs::write(directory.path().join("ca.pem"), pem).unwrap();
        let issuer = Issuer::new(ca, key);
        let client_key = KeyPair::generate().unwrap();
        let client = CertificateParams::new(vec!["client".to_owned()]).unwrap();
        let client = client.signed_by(&client_key, &issuer).unwrap().pem();
        fs::write(directory.path().join("client.pem"), client).unwrap();
        let key_pem = client_key.serialize_pem();
        fs::write(directory.path().join("client.key"), key_pem).unwrap();
        Self { directory, issuer }
    }

    /// The keys of a registry that is of this CA.
    pub fn keys(&self) -> String {
        let path = |name: &str| -> PathBuf { self.directory.path().join(name) };
        format!(
            "ca_file = \"{}\"\nclient_cert = \"{}\"\nclient_key = \"{}\"",
            path("ca.pem").display(),
            path("client.pem").display(),
            path("client.key").display()
        )
    }

    /// A server of this name, which answers each request by its path with a whole response.
    pub fn serve(
        &self,
        name: &str,
        answer: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> Witness {
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(Arc::new(AnyCertificate))
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("https://{name}:{}", listener.local_addr().unwrap().port());
        let seen = Arc::<Mutex<Seen>>::default();
        let (config, answer, noted) = (Arc::new(config), Arc::new(answer), seen.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, answer, seen) = (config.clone(), answer.clone(), noted.clone());
                thread::spawn(move || converse(stream, config, &*answer, &seen));
            }
        });
        Witness { origin, seen }
    }
}

impl Witness {
    /// `HOST:PORT`.
    pub fn host(&self) -> &str {
        self.origin.trim_start_matches("https://")
    }

    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }
}

/// A response without a body.
pub fn bare(status: &str, header: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{header}\r\ncontent-length: 0\r\n\r\n")
}

fn converse(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    answer: &dyn Fn(&str) -> String,
    seen: &Mutex<Seen>,
) {
    let mut stream = stream;
    let mut connection = ServerConnection::new(config).unwrap();
    while connection.is_handshaking() {
        if connection.complete_io(&mut stream).is_err() {
            return;
        }
    }
    let is_known = connection.peer_certificates().is_some();
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    let mut is_noted = false;
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            match stream.read_line(&mut head) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        {
            let mut seen = seen.lock().unwrap();
            if !std::mem::replace(&mut is_noted, true) {
                seen.handshakes.push(is_known);
            }
            seen.heads.push(head);
        }
        if stream
            .get_mut()
            .write_all(answer(&path).as_bytes())
            .is_err()
        {
            return;
        }
    }
}

/// Takes any certificate, or none.
#[derive(Debug)]
struct AnyCertificate;

impl ClientCertVerifier for AnyCertificate {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
