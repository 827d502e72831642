//! What systemd is to a daemon: a socket that it tells its state to.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use crate::support::programs::daemon::Daemon;
use crate::support::programs::transship::Transship;
use crate::support::{PATIENCE, wait_until};

/// The messages that came over the socket. They are read as they come, so that its queue never fills.
pub struct Supervisor {
    messages: Receiver<String>,
    heard: Vec<String>,
}

impl Supervisor {
    /// Daemons of this directory talk to it from now on.
    pub fn of(transship: &mut Transship) -> Self {
        let socket = bound(transship);
        let (sender, messages) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length) = socket.recv(&mut buffer) {
                let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        Self {
            messages,
            heard: Vec::new(),
        }
    }

    /// A service manager that reads nothing, and whose queue is full.
    pub fn deaf(transship: &mut Transship) -> UnixDatagram {
        let socket = bound(transship);
        let sender = UnixDatagram::unbound().unwrap();
        sender.set_nonblocking(true).unwrap();
        let path = transship.path().join(SOCKET);
        let full = loop {
            if let Err(error) = sender.send_to(b"STATUS=before", &path) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
        socket
    }

    /// The next message with this line in it; those before it are passed over.
    #[track_caller]
    pub fn expect(&mut self, daemon: &Daemon, line: &str) -> String {
        self.expect_where(daemon, line, |known| known == line)
    }

    /// The next message with a line that satisfies `question`.
    #[track_caller]
    pub fn expect_where(
        &mut self,
        daemon: &Daemon,
        what: &str,
        question: impl Fn(&str) -> bool,
    ) -> String {
        let found = wait_until(PATIENCE, Duration::ZERO, || {
            let message = self.next()?;
            let fits = message.lines().any(&question);
            fits.then_some(message)
        });
        let heard = &self.heard;
        found.unwrap_or_else(|| panic!("no {what} among {heard:#?}\n--- log\n{}", daemon.log()))
    }

    /// Passes over what came until now: what is expected then is said after it.
    pub fn pass_over(&mut self) {
        self.heard.extend(self.messages.try_iter());
    }

    fn next(&mut self) -> Option<String> {
        let patience = Duration::from_millis(100);
        let message = self.messages.recv_timeout(patience).ok()?;
        self.heard.push(message.clone());
        Some(message)
    }
}

/// The socket's name in the directory of the daemon.
const SOCKET: &str = "notify.sock";

fn bound(transship: &mut Transship) -> UnixDatagram {
    let path = transship.path().join(SOCKET);
    transship.set_env("NOTIFY_SOCKET", path.to_str().unwrap());
    UnixDatagram::bind(&path).unwrap()
}
