//! The benchmark's own hand in a registry: it fills and checks many things at a time, and no access log counts it.

use bytes::Bytes;
use futures::{StreamExt, stream};
use reqwest::{Method, Response, StatusCode, Url};
use sha2::{Digest as _, Sha256};

use super::corpus::GZIP;
use crate::support::registries::client::{USER_AGENT, digest_of};
use crate::support::registries::corpus::{OCI_INDEX, OCI_MANIFEST};
use crate::support::registries::registry::Registry;

/// How much of a streamed blob is in memory.
const PIECE: u64 = 8 << 20;

/// A client of one registry; certificates are not checked.
#[derive(Clone, Debug)]
pub struct Hand {
    http: reqwest::Client,
    base: Url,
}

impl Hand {
    /// A hand in a registry.
    pub fn of(registry: &Registry) -> Self {
        Self::at(&registry.base())
    }

    /// A hand in the registry at `base`, such as `https://127.0.0.1:5000`.
    pub fn at(base: &str) -> Self {
        // A second call finds the provider installed, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .no_proxy()
            .tls_danger_accept_invalid_certs(true)
            .build()
            .unwrap();
        let base = Url::parse(base).unwrap();
        Self { http, base }
    }

    pub async fn put_blob(&self, repository: &str, bytes: Bytes) {
        let digest = digest_of(&bytes);
        let location = self.open(repository).await;
        self.complete(location, &digest, bytes).await;
    }

    /// Uploads random bytes in pieces; says their digest.
    pub async fn stream_blob(&self, repository: &str, size: u64) -> String {
        let mut location = self.open(repository).await;
        let (mut hash, mut chance) = (Sha256::new(), fastrand::Rng::with_seed(size));
        let mut left = size;
        while left > 0 {
            let mut piece = vec![0; left.min(PIECE) as usize];
            chance.fill(&mut piece);
            if left == size {
                piece[..GZIP.len()].copy_from_slice(&GZIP);
            }
            hash.update(&piece);
            left -= piece.len() as u64;
            let patch = self.http.patch(location).body(piece);
            let answer = patch.send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::ACCEPTED, "stream a blob");
            location = self.location(&answer);
        }
        let hex: String = hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let digest = format!("sha256:{hex}");
        self.complete(location, &digest, Bytes::new()).await;
        digest
    }

    /// Lets a repository have a blob of another one.
    pub async fn mount(&self, repository: &str, digest: &str, from: &str) {
        let mut url = self.url(&format!("/v2/{repository}/blobs/uploads/"));
        url.query_pairs_mut()
            .append_pair("mount", digest)
            .append_pair("from", from);
        let answer = self.http.post(url).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED, "mount {digest}");
    }

    pub async fn put_manifest(&self, repository: &str, reference: &str, kind: &str, bytes: Bytes) {
        let url = self.url(&format!("/v2/{repository}/manifests/{reference}"));
        let put = self.http.put(url).header("content-type", kind).body(bytes);
        let answer = put.send().await.unwrap();
        assert_eq!(
            answer.status(),
            StatusCode::CREATED,
            "push {repository} {reference}"
        );
    }

    /// How many of these tags of the source have the same digest below `mirror/` here.
    pub async fn count_same(&self, source: &Self, tags: &[(String, String)]) -> usize {
        let is_same = |(repository, tag): &(String, String)| {
            let name = repository.rsplit('/').next().unwrap().to_owned();
            let (repository, tag) = (repository.clone(), tag.clone());
            async move {
                let there = source.digest(&repository, &tag).await;
                let here = self.digest(&format!("mirror/{name}"), &tag).await;
                assert!(there.is_some(), "the source has lost {repository}:{tag}");
                there == here
            }
        };
        let answers = stream::iter(tags).map(is_same).buffer_unordered(8);
        answers
            .filter(|same| std::future::ready(*same))
            .count()
            .await
    }

    async fn digest(&self, repository: &str, tag: &str) -> Option<String> {
        let url = self.url(&format!("/v2/{repository}/manifests/{tag}"));
        let accept = format!("{OCI_MANIFEST}, {OCI_INDEX}");
        let head = self
            .http
            .request(Method::HEAD, url)
            .header("accept", accept);
        let answer = head.send().await.unwrap();
        let digest = answer.headers().get("docker-content-digest")?;
        Some(digest.to_str().unwrap().to_owned())
    }

    async fn open(&self, repository: &str) -> Url {
        let url = self.url(&format!("/v2/{repository}/blobs/uploads/"));
        let answer = self.http.post(url).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED, "open an upload");
        self.location(&answer)
    }

    async fn complete(&self, mut location: Url, digest: &str, bytes: Bytes) {
        location.query_pairs_mut().append_pair("digest", digest);
        let answer = self.http.put(location).body(bytes).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED, "upload {digest}");
    }

    fn location(&self, answer: &Response) -> Url {
        let location = answer.headers()["location"].to_str().unwrap();
        self.base.join(location).unwrap()
    }

    fn url(&self, path: &str) -> Url {
        self.base.join(path).unwrap()
    }
}
