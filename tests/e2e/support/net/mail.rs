//! A mail server behind TLS that takes one letter.

use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};
use rustls::{ServerConfig, ServerConnection, StreamOwned, crypto::ring};
use tempfile::TempDir;

/// A running server.
pub struct MailServer {
    pub port: u16,
    directory: TempDir,
    thread: JoinHandle<String>,
}

impl MailServer {
    /// A server that calls itself `localhost`; only `ca_file` vouches for that.
    pub fn start() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let directory = TempDir::new().unwrap();
        fs::write(directory.path().join("ca.pem"), made.cert.pem()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(made.signing_key.serialize_pem().as_bytes());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.unwrap())
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let connection = ServerConnection::new(Arc::new(config)).unwrap();
            converse(StreamOwned::new(connection, stream))
        });
        Self {
            port,
            directory,
            thread,
        }
    }

    /// The file that vouches for its certificate.
    pub fn ca_file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// Everything that it was told, commands and letter.
    pub fn heard(self) -> String {
        self.thread.join().unwrap()
    }
}

fn converse(stream: impl Read + Write) -> String {
    let mut stream = BufReader::new(stream);
    let mut heard = String::new();
    let mut reply = "220 localhost\r\n";
    loop {
        // Whoever does not trust the certificate goes away before the first word.
        if stream.get_mut().write_all(reply.as_bytes()).is_err() {
            return heard;
        }
        let mut line = String::new();
        let is_letter = reply.starts_with("354");
        while !matches!(stream.read_line(&mut line), Ok(0) | Err(_)) {
            if !is_letter || line.ends_with("\r\n.\r\n") {
                break;
            }
        }
        heard.push_str(&line);
        reply = match line.split([' ', '\r']).next().unwrap_or_default() {
            _ if is_letter => "250 taken\r\n",
            "EHLO" => "250-localhost\r\n250 AUTH PLAIN\r\n",
            "AUTH" => "235 welcome\r\n",
            "DATA" => "354 go on\r\n",
            "" | "QUIT" => return heard,
            _ => "250 fine\r\n",
        };
    }
}
