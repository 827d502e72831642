//! A listener that passes connections on to a registry: as they are, or as a SOCKS5 proxy.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::support::registries::faults;

/// A running tunnel; its threads end with the test's process.
pub struct Tunnel {
    host: String,
    asked: Arc<Mutex<Vec<String>>>,
}

/// What a connection begins with.
#[derive(Clone, Copy)]
enum Greeting {
    None,
    Socks,
}

impl Tunnel {
    /// Listens on IPv6's loopback, and passes on to `target`.
    pub fn ipv6(target: &str) -> Self {
        Self::start("[::1]:0", target, Greeting::None)
    }

    /// A SOCKS5 proxy that passes everything on to `target`, whatever it is asked for.
    pub fn socks(target: &str) -> Self {
        Self::start("127.0.0.1:0", target, Greeting::Socks)
    }

    /// Passes on to `target`, and breaks `times` connections after about so many bytes of theirs
    /// went there.
    pub fn breaking(target: &str, after: usize, times: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (target, left) = (target.to_owned(), Arc::new(AtomicUsize::new(times)));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (target, left) = (target.clone(), Arc::clone(&left));
                thread::spawn(move || stream.and_then(|s| pass_some(s, &target, after, &left)));
            }
        });
        let asked = Arc::default();
        Self { host, asked }
    }

    fn start(address: &str, target: &str, greeting: Greeting) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let asked = Arc::default();
        let tunnel = Self {
            host,
            asked: Arc::clone(&asked),
        };
        let target = target.to_owned();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (target, asked) = (target.clone(), Arc::clone(&asked));
                // A client that goes away ends its own connection and nothing else.
                thread::spawn(move || stream.and_then(|s| pass(s, &target, greeting, &asked)));
            }
        });
        tunnel
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    /// The hosts that a SOCKS5 client asked for, as it wrote them.
    pub fn asked(&self) -> Vec<String> {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn pass(
    mut from: TcpStream,
    target: &str,
    greeting: Greeting,
    asked: &Mutex<Vec<String>>,
) -> io::Result<()> {
    if let Greeting::Socks = greeting {
        let name = greet(&mut from)?;
        asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(name);
    }
    let to = TcpStream::connect(target)?;
    let (mut up, mut down) = ((from.try_clone()?, to.try_clone()?), (to, from));
    thread::spawn(move || io::copy(&mut up.0, &mut up.1));
    io::copy(&mut down.0, &mut down.1)?;
    Ok(())
}

fn pass_some(
    mut from: TcpStream,
    target: &str,
    after: usize,
    left: &AtomicUsize,
) -> io::Result<()> {
    let mut to = TcpStream::connect(target)?;
    let (mut answers, mut back) = (to.try_clone()?, from.try_clone()?);
    thread::spawn(move || io::copy(&mut answers, &mut back));
    let (mut buffer, mut passed) = ([0; 4096], 0);
    loop {
        let length = from.read(&mut buffer)?;
        if length == 0 {
            return to.shutdown(Shutdown::Write);
        }
        to.write_all(&buffer[..length])?;
        passed += length;
        let one_less = |left: usize| left.checked_sub(1);
        if passed > after && left.fetch_update(Relaxed, Relaxed, one_less).is_ok() {
            faults::injected();
            from.shutdown(Shutdown::Both)?;
            return to.shutdown(Shutdown::Both);
        }
    }
}

/// The greeting of [RFC 1928](https://www.rfc-editor.org/rfc/rfc1928) and the login of RFC 1929.
fn greet(client: &mut TcpStream) -> io::Result<String> {
    let [_, methods] = read::<2>(client)?;
    let offered = read_some(client, methods.into())?;
    let method = if offered.contains(&2) { 2 } else { 0 };
    client.write_all(&[5, method])?;
    if method == 2 {
        let [_, length] = read::<2>(client)?;
        read_some(client, length.into())?;
        let [length] = read::<1>(client)?;
        read_some(client, length.into())?;
        client.write_all(&[1, 0])?;
    }
    let [_, _, _, kind] = read::<4>(client)?;
    let name = match kind {
        3 => {
            let [length] = read::<1>(client)?;
            String::from_utf8_lossy(&read_some(client, length.into())?).into_owned()
        }
        _ => format!("{:?}", read::<4>(client)?),
    };
    read::<2>(client)?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    Ok(name)
}

fn read<const N: usize>(client: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    client.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_some(client: &mut TcpStream, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    client.read_exact(&mut bytes)?;
    Ok(bytes)
}
