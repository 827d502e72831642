//! A blob on its way, in a line.

use super::{language::Language, visit::Visit};
use crate::{
    report::words::{bytes, short_digest},
    sync::Moving,
};

/// One transfer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Transfer {
    pub(super) digest: String,
    pub(super) short: String,
    pub(super) target: String,
    pub(super) size: u64,
    pub(super) sent: u64,
    /// How much of it, as text.
    pub(super) progress: String,
    pub(super) rate: String,
    /// None where nothing moves.
    pub(super) left: Option<String>,
}

/// A blob as it moves now.
pub(super) fn of(moving: &Moving, visit: &Visit) -> Transfer {
    let amount = Amount {
        size: moving.size_bytes,
        sent: moving.sent_bytes(),
        rate: moving.bytes_per_second(),
    };
    let target = moving.target.to_string();
    amount.of(moving.digest.as_str(), target, visit.language)
}

/// How far a blob is, in bytes and bytes a second.
#[derive(Clone, Copy, Debug)]
struct Amount {
    size: u64,
    sent: u64,
    rate: f64,
}

impl Amount {
    fn of(self, digest: &str, target: String, language: Language) -> Transfer {
        // A source may send more than it said; that ends badly, and not here.
        let sent = self.sent.min(self.size);
        let percent = (sent * 100).checked_div(self.size).unwrap_or(0);
        let left = (self.rate >= 1.0).then(|| ((self.size - sent) as f64 / self.rate).ceil());
        Transfer {
            digest: digest.into(),
            short: short_digest(digest).into(),
            target,
            size: self.size.max(1),
            sent,
            progress: format!("{percent}% · {} / {}", bytes(sent), bytes(self.size)),
            rate: format!("{}/s", bytes(self.rate as u64)),
            left: left.map(|seconds| language.duration(seconds as i64)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn transfer(size: u64, sent: u64, rate: f64) -> Transfer {
        let amount = Amount { size, sent, rate };
        amount.of(DIGEST, "m.example.com/a".into(), Language::English)
    }

    #[test]
    fn progress_rate_and_what_is_left_are_told() {
        let transfer = transfer(100 << 20, 25 << 20, f64::from(1 << 20));
        assert_eq!(transfer.short, "e3b0c44298fc");
        assert_eq!(transfer.progress, "25% · 25.0 MiB / 100.0 MiB");
        assert_eq!(transfer.rate, "1.0 MiB/s");
        assert_eq!(transfer.left.as_deref(), Some("1m 15s"));
    }

    #[test]
    fn odd_amounts_are_told_without_nonsense() {
        assert_eq!(transfer(0, 0, 0.0).progress, "0% · 0 B / 0 B");
        assert_eq!(transfer(10, 25, 5.0).progress, "100% · 10 B / 10 B");
        assert_eq!(transfer(10, 0, 0.0).left, None);
        assert_eq!(transfer(1 << 60, 1, 1.0).sent, 1);
    }
}
