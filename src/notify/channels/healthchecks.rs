//! healthchecks.io, or your own instance: pings at the start, the success and the failure of a run.

use sha2::{Digest as _, Sha256};
use url::Url;

use crate::{
    config::{SecretUrl, Topic},
    notify::{
        Error,
        chat::cut,
        http::{Post, ServiceResponse},
    },
    status::Document,
};

/// Most bytes of a ping's text that are kept.
const LIMIT: usize = 100_000;

/// The kind of a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PingKind {
    Start,
    Success,
    Failure,
    /// A note that changes nothing.
    Log,
}

/// The request that brings a message.
pub(crate) fn message(url: &SecretUrl, topic: Topic, document: &Document) -> Post {
    let signal = match topic {
        Topic::Test => PingKind::Log,
        // That the report went out at all is the good news.
        Topic::Report | Topic::Recovered => PingKind::Success,
        _ => PingKind::Failure,
    };
    post(url, signal, None, &document.to_text())
}

/// The request for a ping. `run` ties start and end together.
pub(crate) fn post(url: &SecretUrl, signal: PingKind, run: Option<&str>, text: &str) -> Post {
    let mut url = url.expose().clone();
    let word = match signal {
        PingKind::Start => "start",
        PingKind::Success => "",
        PingKind::Failure => "fail",
        PingKind::Log => "log",
    };
    if !word.is_empty() {
        append(&mut url, word);
    }
    if let Some(run) = run {
        url.query_pairs_mut().append_pair("rid", run);
    }
    let text = cut(text, |text| text.len() <= LIMIT).unwrap_or(text);
    Post {
        url,
        headers: Vec::new(),
        content_type: "text/plain; charset=utf-8",
        body: text.to_owned(),
        judge,
    }
}

fn append(url: &mut Url, word: &str) {
    let path = format!("{}/{word}", url.path().trim_end_matches('/'));
    url.set_path(&path);
}

/// A UUID for a run, the same whenever it is asked for. Ids of runs begin at 1 in every store, so
/// that the check's address goes into it, too.
pub(crate) fn run_id(url: &SecretUrl, mirror: &str, run: i64) -> String {
    let name = format!("{}\n{mirror}\n{run}", url.expose());
    let hash = Sha256::digest(name.as_bytes());
    let hex: Vec<String> = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let hex = hex.concat();
    // Version 8: made in a way of one's own (RFC 9562).
    let (a, b, c, d, e) = (
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..32],
    );
    format!("{a}-{b}-8{c}-8{d}-{e}")
}

fn judge(answer: &ServiceResponse) -> Result<(), Error> {
    const REMEDY: &str = "copy the check's ping URL again: there is no such check";
    answer.check_status(REMEDY)?;
    // Pings by UUID are answered with 200 whatever becomes of them.
    match answer.words() {
        said if said.contains("not found") => Err(Error::Refused {
            said,
            remedy: REMEDY,
        }),
        said if said.contains("rate limited") => Err(Error::Throttled {
            said,
            retry_after: None,
        }),
        _ => Ok(()),
    }
}
