//! A transfer in flight as a table row.

use crate::{
    locales::Language,
    status::format::{bytes, short_digest},
    sync::Moving,
    web::pages::page_request::PageRequest,
};

/// One transfer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TransferRow {
    pub(crate) digest: String,
    pub(crate) short: String,
    pub(crate) target: String,
    pub(crate) size: u64,
    pub(crate) sent: u64,
    /// The share that was sent, as text.
    pub(crate) progress: String,
    pub(crate) rate: String,
    /// The remaining time; none if nothing moves.
    pub(crate) left: Option<String>,
}

/// A transfer as it stands now.
pub(crate) fn of(moving: &Moving, request: &PageRequest) -> TransferRow {
    let amount = Amount {
        size: moving.size_bytes,
        sent: moving.sent_bytes(),
        rate: moving.bytes_per_second(),
    };
    let target = moving.target.to_string();
    amount.of(moving.digest.as_str(), target, request.language)
}

/// Progress of a blob, in bytes and bytes per second.
#[derive(Clone, Copy, Debug)]
struct Amount {
    size: u64,
    sent: u64,
    rate: f64,
}

impl Amount {
    fn of(self, digest: &str, target: String, language: Language) -> TransferRow {
        // A source may send more than it announced. The copy fails for that, not the page.
        let sent = self.sent.min(self.size);
        let percent = (sent * 100).checked_div(self.size).unwrap_or(0);
        let left = (self.rate >= 1.0).then(|| ((self.size - sent) as f64 / self.rate).ceil());
        TransferRow {
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
mod tests;
