//! Notifies the service manager ([sd_notify](https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html)).

use std::env;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use chrono_tz::Tz;
use sd_notify::NotifyState;

use crate::status::{Status, format};

/// The service manager, where there is one.
#[derive(Debug)]
pub(crate) struct ServiceManager {
    /// Its watchdog's interval. It is fed three times as often.
    watchdog: Option<Duration>,
    fed_at: Instant,
    /// How often the watchdog was fed.
    pub(crate) fed: u64,
    status: String,
    notifier: Option<ServiceNotifier>,
}

impl ServiceManager {
    pub(crate) fn new() -> Self {
        Self {
            watchdog: sd_notify::watchdog_enabled(),
            fed_at: Instant::now(),
            fed: 0,
            status: String::new(),
            notifier: env::var_os("NOTIFY_SOCKET").map(|_| ServiceNotifier::start()),
        }
    }

    /// A manager with a watchdog of this interval.
    #[cfg(test)]
    pub(crate) fn watched(every: Duration) -> Self {
        Self {
            watchdog: Some(every),
            ..Self::new()
        }
    }

    /// Everything is open.
    pub(crate) fn ready(&self) {
        self.notify(&[NotifyState::Ready]);
    }

    /// `mirror.toml` is read again; [`Self::ready`] ends that. Both states go in one datagram.
    pub(crate) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.notify(&[NotifyState::Reloading, now]),
            Err(error) => tracing::debug!(%error, "the monotonic clock cannot be read"),
        }
    }

    /// The daemon ends. Waits until the manager has read it, [`PATIENCE`] at most.
    pub(crate) fn stopping(&mut self) {
        self.notify(&[NotifyState::Stopping]);
        if let Some(notifier) = self.notifier.take() {
            notifier.end();
        }
    }

    /// The scheduler ticked: only this feeds the watchdog.
    pub(crate) fn tick(&mut self) {
        if let Some(interval) = self.watchdog
            && self.fed_at.elapsed() >= interval / 3
        {
            self.fed_at = Instant::now();
            self.fed += 1;
            self.notify(&[NotifyState::Watchdog]);
        }
    }

    /// Updates the line of `systemctl status`.
    pub(crate) fn status(&mut self, status: &Status, zone: Tz) {
        let text = line(status, zone);
        if text != self.status {
            self.notify(&[NotifyState::Status(&text)]);
            self.status = text;
        }
    }

    fn notify(&self, states: &[NotifyState<'_>]) {
        if let Some(notifier) = &self.notifier {
            let lines: Vec<String> = states.iter().map(ToString::to_string).collect();
            notifier.send(lines.join("\n"));
        }
    }
}

/// How long the end of the daemon waits for a manager that does not read.
const PATIENCE: Duration = Duration::from_secs(1);
/// Messages that wait for the manager to read. Later ones are dropped.
const WAITING: usize = 16;

/// A thread that notifies: a manager that does not read must stop nothing else.
#[derive(Debug)]
struct ServiceNotifier {
    messages: SyncSender<String>,
    /// Closed when the thread has ended.
    ended: Receiver<()>,
}

impl ServiceNotifier {
    fn start() -> Self {
        let (messages, waiting) = mpsc::sync_channel::<String>(WAITING);
        let (running, ended) = mpsc::channel();
        thread::spawn(move || {
            let _running = running;
            for message in waiting {
                if let Err(error) = sd_notify::notify(&[NotifyState::Custom(&message)]) {
                    tracing::debug!(%error, "the service manager cannot be notified");
                }
            }
        });
        Self { messages, ended }
    }

    fn send(&self, message: String) {
        if self.messages.try_send(message).is_err() {
            tracing::debug!("the service manager does not read its messages");
        }
    }

    fn end(self) {
        drop(self.messages);
        // An error: the thread has ended, or the time is up. Both end the wait.
        let _ = self.ended.recv_timeout(PATIENCE);
    }
}

/// `12 of 214 behind, worst library/nginx 1h 12m, next 14:05`.
fn line(status: &Status, zone: Tz) -> String {
    let behind = status
        .mirrors
        .iter()
        .filter(|mirror| mirror.behind_tags() > 0);
    let mut parts = vec![format!(
        "{} of {} behind",
        behind.count(),
        status.mirrors.len()
    )];
    if let Some(worst) = status
        .worst_first()
        .first()
        .filter(|worst| worst.lag_seconds > 0)
    {
        parts.push(format!(
            "worst {} {}",
            worst.name,
            format::duration(worst.lag_seconds)
        ));
    }
    if let Some(next) = status
        .mirrors
        .iter()
        .filter_map(|mirror| mirror.next_run)
        .min()
    {
        parts.push(format!("next {}", format::clock(next, zone)));
    }
    parts.join(", ")
}
