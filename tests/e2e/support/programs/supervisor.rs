//! What systemd is to a daemon: a socket that it tells its state to.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::support::programs::daemon::Daemon;
use crate::support::programs::transship::Transship;
use crate::support::{PATIENCE, wait_until};

/// The socket, and all that came over it.
pub struct Supervisor {
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Supervisor {
    /// Daemons of this directory talk to it from now on.
    pub fn of(transship: &mut Transship) -> Self {
        let path = transship.path().join("notify.sock");
        let socket = UnixDatagram::bind(&path).unwrap();
        let patience = Some(Duration::from_millis(100));
        socket.set_read_timeout(patience).unwrap();
        transship.set_env("NOTIFY_SOCKET", path.to_str().unwrap());
        Self {
            socket,
            heard: Vec::new(),
        }
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

    fn next(&mut self) -> Option<String> {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).ok()?;
        let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
        self.heard.push(message.clone());
        Some(message)
    }
}
