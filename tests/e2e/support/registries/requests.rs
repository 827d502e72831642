//! A request as a registry saw it, and the questions that tests ask of a list of them.

use std::collections::BTreeMap;

/// One request that a registry answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub query: String,
    pub status: u16,
    /// Bytes of the answer's body; a fake does not count them.
    pub answered_bytes: u64,
    /// The `Authorization` header; a real registry's log does not keep it.
    pub authorization: Option<String>,
    /// The `Accept` header; a real registry's log does not keep it.
    pub accept: Option<String>,
    /// The `Range` or `Content-Range` header; a real registry's log does not keep it.
    pub range: Option<String>,
    /// Bytes of its body that arrived; a real registry's log does not keep them.
    pub received: usize,
}

impl Request {
    /// `METHOD /path`, without the query.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Whether it could have changed what the registry holds.
    pub fn is_write(&self) -> bool {
        !matches!(self.method.as_str(), "GET" | "HEAD")
    }

    /// Whether it completed the upload of a blob.
    pub fn is_blob_upload(&self) -> bool {
        self.method == "PUT" && self.path.contains("/blobs/uploads/") && self.status == 201
    }

    /// Whether it sent bytes of a blob, completely or not.
    pub fn is_blob_body(&self) -> bool {
        matches!(self.method.as_str(), "PUT" | "PATCH") && self.path.contains("/blobs/uploads/")
    }

    /// Whether it opened an upload or asked for a mount.
    pub fn is_blob_post(&self) -> bool {
        self.method == "POST" && self.path.contains("/blobs/uploads")
    }

    /// Whether it asked for a mount and got it.
    pub fn is_mount(&self) -> bool {
        self.is_blob_post() && self.query.contains("mount=") && self.status == 201
    }

    /// Whether it wrote a manifest.
    pub fn is_manifest_put(&self) -> bool {
        self.method == "PUT" && self.path.contains("/manifests/")
    }

    /// Whether it read a blob.
    pub fn is_blob_get(&self) -> bool {
        self.method == "GET" && self.path.contains("/blobs/sha256:")
    }

    /// Whether it read one page of a repository's tags.
    pub fn is_tag_list(&self) -> bool {
        self.path.ends_with("/tags/list")
    }
}

/// How many requests satisfy `question`.
pub fn count(requests: &[Request], question: impl Fn(&Request) -> bool) -> usize {
    requests.iter().filter(|request| question(request)).count()
}

/// Every request as `METHOD /path`, sorted.
pub fn lines(requests: &[Request]) -> Vec<String> {
    let mut lines: Vec<_> = requests.iter().map(Request::line).collect();
    lines.sort();
    lines
}

/// How often each path was read as a blob.
pub fn blob_gets(requests: &[Request]) -> BTreeMap<String, usize> {
    let mut gets = BTreeMap::new();
    for request in requests.iter().filter(|request| request.is_blob_get()) {
        *gets.entry(request.path.clone()).or_default() += 1;
    }
    gets
}

/// Fails the test when one of the requests could have changed the registry.
pub fn assert_only_reads(requests: &[Request]) {
    let writes: Vec<_> = requests
        .iter()
        .filter(|request| request.is_write())
        .collect();
    assert!(
        writes.is_empty(),
        "the registry was written to: {writes:#?}"
    );
}
