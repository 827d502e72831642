//! What plain transfers over a link reach, so that its word need not be taken for it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::net::link::{Link, LinkQuality};

const FLOWS: usize = 16;

/// One sentence about the link, measured.
pub fn describe(weather: LinkQuality) -> String {
    format!(
        "A plain transfer on one connection reaches {:.0} Mbit/s, on {FLOWS} together {:.0} Mbit/s; to connect, send a byte \
         and get an answer takes {:.0} ms.",
        rate(weather, 1),
        rate(weather, FLOWS),
        1000.0 * answer(weather).as_secs_f64()
    )
}

/// What arrives in a second when so many connections send what they can, in Mbit.
fn rate(weather: LinkQuality, flows: usize) -> f64 {
    let arrived = Arc::default();
    let link = Link::to(&sink(&arrived), weather);
    for _ in 0..flows {
        let mut stream = TcpStream::connect(link.host()).unwrap();
        // It ends with the link.
        thread::spawn(move || std::io::copy(&mut std::io::repeat(7), &mut stream));
    }
    thread::sleep(Duration::from_secs(1));
    let (start, before) = (Instant::now(), arrived.load(Ordering::Relaxed));
    thread::sleep(Duration::from_secs(3));
    let bytes = arrived.load(Ordering::Relaxed) - before;
    bytes as f64 / 125_000.0 / start.elapsed().as_secs_f64()
}

/// How long a connection takes that sends a byte and reads one.
fn answer(weather: LinkQuality) -> Duration {
    let link = Link::to(&sink(&Arc::default()), weather);
    let start = Instant::now();
    let mut stream = TcpStream::connect(link.host()).unwrap();
    stream.write_all(b"?").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    stream.read_exact(&mut [0]).unwrap();
    start.elapsed()
}

/// A server that reads each connection to its end, counts, and answers with one byte.
fn sink(arrived: &Arc<AtomicU64>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let arrived = Arc::clone(arrived);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let arrived = Arc::clone(&arrived);
            thread::spawn(move || drain(stream, &arrived));
        }
    });
    host
}

fn drain(mut stream: TcpStream, arrived: &AtomicU64) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(length @ 1..) = stream.read(&mut bytes) {
        arrived.fetch_add(length as u64, Ordering::Relaxed);
    }
    drop(stream.write_all(b"!"));
}
