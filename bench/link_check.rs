//! What a plain transfer over the link reaches, so that its word need not be taken for it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::link::{Link, Weather};

const FLOWS: usize = 16;

/// One sentence about the link, measured.
pub fn describe(weather: Weather) -> String {
    let link = Link::to(&sink(), weather);
    let seconds = 4;
    let of_a_flow = seconds * weather.flow_rate.unwrap_or(100 << 20);
    let of_all = seconds * weather.total_rate.unwrap_or(400 << 20);
    let small = transfer(&link, 1, 1).as_secs_f64();
    let mbit = |bytes: u64, flows: u64| {
        // The small transfer has the same round trips.
        let time = transfer(&link, flows, bytes / flows).as_secs_f64() - small;
        bytes as f64 / 125_000.0 / time
    };
    format!(
        "A plain transfer over the link: {:.1} Mbit/s on one connection, {:.1} Mbit/s on {FLOWS}; to connect, send a byte and \
         get an answer takes {:.0} ms.",
        mbit(of_a_flow, 1),
        mbit(of_all, FLOWS as u64),
        1000.0 * small
    )
}

/// A server that reads a connection to its end and answers with one byte.
fn sink() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut stream = stream;
                drop(std::io::copy(&mut stream, &mut std::io::sink()));
                drop(stream.write_all(b"!"));
            });
        }
    });
    host
}

/// How long it takes until every flow has sent its bytes and has its answer.
fn transfer(link: &Link, flows: u64, bytes: u64) -> Duration {
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..flows {
            scope.spawn(|| {
                let mut stream = TcpStream::connect(link.host()).unwrap();
                std::io::copy(&mut std::io::repeat(7).take(bytes), &mut stream).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
                stream.read_exact(&mut [0]).unwrap();
            });
        }
    });
    start.elapsed()
}
