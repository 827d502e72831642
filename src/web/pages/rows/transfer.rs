//! An image in flight as a table row: all its blobs that move now, to all targets.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    locales::Language, status::format::bytes, sync::Moving, web::pages::page_request::PageRequest,
};

/// One image.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TransferRow {
    pub(crate) image: String,
    pub(crate) targets: String,
    pub(crate) size: u64,
    pub(crate) sent: u64,
    /// The share that was sent, as text.
    pub(crate) progress: String,
    pub(crate) rate: String,
    /// The remaining time; none if nothing moves.
    pub(crate) left: Option<String>,
}

/// The images in flight, by name.
pub(crate) fn rows<'a>(
    moving: impl Iterator<Item = &'a Arc<Moving>>,
    request: &PageRequest,
) -> Vec<TransferRow> {
    let mut images: BTreeMap<&str, Image<'_>> = BTreeMap::new();
    for blob in moving {
        images.entry(&blob.image).or_default().add(blob);
    }
    let images = images.into_iter();
    images
        .map(|(name, image)| {
            image
                .amount
                .of(name, image.targets.join(", "), request.language)
        })
        .collect()
}

/// What moves of one image.
#[derive(Default)]
struct Image<'a> {
    targets: Vec<&'a str>,
    amount: Amount,
}

impl<'a> Image<'a> {
    fn add(&mut self, blob: &'a Moving) {
        let target = blob.target.registry().as_str();
        if !self.targets.contains(&target) {
            self.targets.push(target);
        }
        // A source may send more than it announced. The copy fails for that, not the page.
        let sent = blob.sent_bytes().min(blob.size_bytes);
        self.amount.size = self.amount.size.saturating_add(blob.size_bytes);
        self.amount.sent = self.amount.sent.saturating_add(sent);
        self.amount.rate += blob.bytes_per_second();
    }
}

/// Progress in bytes, and bytes per second.
#[derive(Clone, Copy, Debug, Default)]
struct Amount {
    size: u64,
    sent: u64,
    rate: f64,
}

impl Amount {
    fn of(self, image: &str, targets: String, language: Language) -> TransferRow {
        let sent = self.sent.min(self.size);
        let percent = (u128::from(sent) * 100).checked_div(self.size.into());
        let percent = percent.unwrap_or(0);
        let left = (self.rate >= 1.0).then(|| ((self.size - sent) as f64 / self.rate).ceil());
        TransferRow {
            image: image.into(),
            targets,
            size: self.size.max(1),
            sent,
            progress: format!("{percent}% · {} / {}", bytes(sent), bytes(self.size)),
            rate: rate(self.rate),
            left: left.map(|seconds| language.duration(seconds as i64)),
        }
    }
}

/// Bytes per second as text.
pub(crate) fn rate(bytes_per_second: f64) -> String {
    format!("{}/s", bytes(bytes_per_second as u64))
}

#[cfg(test)]
mod tests;
