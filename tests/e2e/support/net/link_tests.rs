//! The link is what it says it is: what crosses it is counted, and its arithmetic is checked without a clock.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

use crate::support::net::link::{Crossed, Fate, Faults, Link, LinkQuality, Queue};

const MIB: usize = 1 << 20;

/// A server that answers each connection with twice what it read, once it has read all of it.
fn doubling_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = Vec::new();
            // Who resets the connection gets no answer.
            if stream.read_to_end(&mut bytes).is_ok() {
                drop(
                    stream
                        .write_all(&bytes)
                        .and_then(|()| stream.write_all(&bytes)),
                );
            }
        }
    });
    host
}

/// What comes back for these bytes, unless the connection breaks.
fn exchange(link: &Link, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(link.host())?;
    stream.write_all(bytes)?;
    stream.shutdown(Shutdown::Write)?;
    let mut back = Vec::new();
    stream.read_to_end(&mut back)?;
    Ok(back)
}

#[test]
fn queue_keeps_its_rate() {
    let start = Instant::now();
    let mut queue = Queue::new(Some(1_000_000), start);
    let left = (0..1000).map(|_| queue.pass(start, 32_000)).last();
    assert_eq!(left, Some(start + Duration::from_secs(32)));
    // Time in which nobody came is not made up for.
    let later = start + Duration::from_secs(40);
    assert_eq!(
        queue.pass(later, 500_000),
        later + Duration::from_millis(500)
    );
    assert_eq!(Queue::new(None, start).pass(later, MIB), later);
}

#[test]
fn faults_strike_per_bytes() {
    let mean = MIB as u64;
    let mut faults = Faults::new(LinkQuality {
        reset_every: Some(mean),
        stall_every: Some(4 * mean),
        ..LinkQuality::default()
    });
    let fates: Vec<_> = (0..400_000).filter_map(|_| faults.strike(1024)).collect();
    let resets = fates.iter().filter(|fate| **fate == Fate::Reset).count();
    // 390 MiB have passed, and a gap is half of the mean at least and one and a half times as much at most.
    assert!((260..=781).contains(&resets), "{resets} resets");
    let stalls = fates.len() - resets;
    assert!((65..=196).contains(&stalls), "{stalls} silences");
}

#[test]
fn link_counts_every_byte() {
    let weather = LinkQuality {
        round_trip: Duration::from_millis(20),
        flow_rate: Some(100 << 20),
        total_rate: Some(200 << 20),
        ..LinkQuality::default()
    };
    let (link, bytes) = (Link::to(&doubling_server(), weather), vec![7; MIB + 1]);
    thread::scope(|scope| {
        let flows = [0; 4].map(|_| scope.spawn(|| exchange(&link, &bytes).unwrap()));
        for flow in flows {
            let back = flow.join().unwrap();
            assert!(back.len() == 2 * bytes.len() && back.iter().all(|byte| *byte == 7));
        }
    });
    let expected = Crossed {
        up: 4 * bytes.len() as u64,
        down: 8 * bytes.len() as u64,
        connections: 4,
        resets: 0,
        stalls: 0,
    };
    assert_eq!(link.crossed(), expected);
}

#[test]
fn link_resets_after_limit() {
    let weather = LinkQuality {
        reset_every: Some(MIB as u64),
        ..LinkQuality::default()
    };
    let link = Link::to(&doubling_server(), weather);
    // Which step of the exchange hears of it is chance, and so is the error's name.
    assert!(exchange(&link, &vec![7; 4 * MIB]).is_err());
    assert_eq!(link.crossed().resets, 1);
    assert_eq!(exchange(&link, b"small").unwrap(), b"smallsmall");
}

#[test]
fn later_connections_get_new_quality() {
    let link = Link::to(&doubling_server(), LinkQuality::default());
    assert_eq!(exchange(&link, b"ab").unwrap(), b"abab");
    link.set_quality(LinkQuality {
        reset_every: Some(1),
        ..LinkQuality::default()
    });
    assert!(exchange(&link, b"abcdefgh").is_err());
    link.set_quality(LinkQuality::default());
    assert_eq!(exchange(&link, b"cd").unwrap(), b"cdcd");
}
