//! Sends log lines to journald with their fields, in its
//! [native protocol](https://systemd.io/JOURNAL_NATIVE_PROTOCOL/): `journalctl TRANSSHIP_MIRROR=nginx`
//! finds what is about one mirror.
//!
//! The protocol is a datagram with a line a field. A crate would bring no more than this, and would
//! show messages without their fields.

use std::{
    env,
    fmt::{Debug, Write as _},
    fs::File,
    io,
    os::{
        fd::AsFd as _,
        unix::{fs::MetadataExt as _, net::UnixDatagram},
    },
    path::Path,
};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

/// Where journald listens.
const SOCKET: &str = "/run/systemd/journal/socket";
/// The prefix of fields: none of them can be taken for one of systemd's.
const PREFIX: &str = "TRANSSHIP_";
/// Longest message. Larger datagrams may be refused, and no log line of this program is that long.
const MOST_BYTES: usize = 64 << 10;

/// Sends events to journald.
#[derive(Debug)]
pub(crate) struct JournalLayer(UnixDatagram);

impl JournalLayer {
    /// The journal that standard error is connected to; none if it is a terminal, a file or a pipe.
    pub(crate) fn of_stderr() -> Option<Self> {
        let stderr = File::from(io::stderr().as_fd().try_clone_to_owned().ok()?);
        let metadata = stderr.metadata().ok()?;
        let stream = format!("{}:{}", metadata.dev(), metadata.ino());
        let is_ours = env::var("JOURNAL_STREAM").is_ok_and(|of_unit| of_unit == stream);
        // Without its socket, as in a container, lines on standard error reach the journal.
        is_ours.then(|| Self::connect(Path::new(SOCKET)).ok())?
    }

    /// Connects to a socket of journald.
    fn connect(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        Ok(Self(socket))
    }
}

impl<S: Subscriber> Layer<S> for JournalLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut entry = JournalEntry::default();
        event.record(&mut entry);
        let priority = priority(*event.metadata().level());
        // Nothing can be done about a journal that takes no line.
        let _ = self.0.send(&entry.datagram(priority));
    }
}

/// The [priority](https://www.freedesktop.org/software/systemd/man/latest/systemd.journal-fields.html#PRIORITY=)
/// of a level.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

/// One log line.
#[derive(Debug, Default)]
struct JournalEntry {
    message: String,
    /// Fields by their names in the journal.
    fields: Vec<(String, String)>,
    /// The fields as people read them behind the message.
    text: String,
}

impl JournalEntry {
    fn add(&mut self, field: &Field, value: String) {
        if field.name() == "message" {
            self.message = value;
            return;
        }
        // Writing to a text cannot fail.
        let _ = write!(self.text, " {}={value}", field.name());
        let is_legal = |c: char| c.is_ascii_alphanumeric();
        let name = field.name().replace(|c| !is_legal(c), "_");
        let name = format!("{PREFIX}{}", name.to_ascii_uppercase());
        self.fields.push((name, value));
    }

    fn datagram(&self, priority: u8) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256);
        let mut message = format!("{}{}", self.message, self.text);
        message.truncate(message.floor_char_boundary(MOST_BYTES));
        put(&mut bytes, "PRIORITY", &priority.to_string());
        put(&mut bytes, "SYSLOG_IDENTIFIER", "transship");
        put(&mut bytes, "MESSAGE", message.trim_start());
        for (name, value) in &self.fields {
            if bytes.len() + value.len() <= 2 * MOST_BYTES {
                put(&mut bytes, name, value);
            }
        }
        bytes
    }
}

impl Visit for JournalEntry {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, format!("{value:?}"));
    }
}

/// A field of one line is `NAME=VALUE`. One of several has its length instead.
fn put(bytes: &mut Vec<u8>, name: &str, value: &str) {
    bytes.extend(name.as_bytes());
    if value.contains('\n') {
        bytes.push(b'\n');
        bytes.extend((value.len() as u64).to_le_bytes());
    } else {
        bytes.push(b'=');
    }
    bytes.extend(value.as_bytes());
    bytes.push(b'\n');
}

#[cfg(test)]
mod tests;
