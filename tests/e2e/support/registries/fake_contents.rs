//! What a fake registry holds, and how it answers for it.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::support::registries::client::digest_of;
use crate::support::registries::fake_answers::{answer, created, parameter, refusal};
use crate::support::registries::requests::Request;

/// How a listing names its next page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageLink {
    Relative,
    Absolute,
    /// The first page and the next, in one header.
    AmongOthers,
    /// Always the page that it stands on.
    Loop,
    /// The next page, at a host that is somebody else's.
    OtherHost,
}

/// What becomes of a session in which a request breaks off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BrokenParts {
    /// It is as if the request had never been made: a proxy before it takes requests in whole.
    #[default]
    Dropped,
    /// What arrived is kept.
    Kept,
    /// What arrived is kept, and the session is no use any more: distribution 2 does so.
    EndTheSession,
}

/// The ways in which it is not like a well-behaved registry.
#[derive(Default)]
pub struct Oddities {
    /// Tags a page, and how the next page is named.
    pub pages: Option<(usize, PageLink)>,
    /// Answers without `Docker-Content-Digest`.
    pub no_digest_header: bool,
    /// A mount is answered with 202 and an upload session.
    pub mounts_become_uploads: bool,
    /// Referrers a page, where it has the referrers API.
    pub referrers: Option<usize>,
    /// The host that `PageLink::OtherHost` names.
    pub other_host: String,
    /// What becomes of a session in which a request breaks off.
    pub broken_parts: BrokenParts,
    /// Who asks how far an upload is is told the byte that comes next, and no `Location`.
    pub counts_like_quay: bool,
    /// Of several parts only the last is kept.
    pub last_part_wins: bool,
    /// The least bytes of a part, as it says when an upload begins.
    pub least_part: Option<usize>,
    /// The location of an upload is relative, has a query that each part changes, and is good for one.
    pub locations_move: bool,
    /// A part is answered with 201 and a `Range` that stands still.
    pub range_stands_still: bool,
    /// The largest body of an upload that it takes.
    pub largest_body: Option<usize>,
}

/// How many upload sessions were opened, and how many of them became a blob.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sessions {
    pub opened: usize,
    pub completed: usize,
}

/// Blobs, manifests and open uploads, of which nothing is ever checked.
#[derive(Default)]
pub struct Contents {
    pub blobs: BTreeMap<(String, String), Bytes>,
    pub sessions: Sessions,
    pub oddities: Oddities,
    manifests: BTreeMap<(String, String), (String, Bytes)>,
    uploads: BTreeMap<String, Vec<u8>>,
}

impl Contents {
    /// Answers a request as a registry at `host` would.
    pub fn serve(
        &mut self,
        parts: &Parts,
        request: &Request,
        body: Bytes,
        host: &str,
    ) -> Response<Body> {
        let (headers, query) = (&parts.headers, request.query.as_str());
        let Some(path) = request.path.strip_prefix("/v2/") else {
            return refusal(404, "NOT_FOUND");
        };
        if path.is_empty() {
            answer(200, &json!({}))
        } else if let Some(repository) = path.strip_suffix("/tags/list") {
            self.tag_list(repository, query, host)
        } else if let Some((repository, reference)) = path.split_once("/manifests/") {
            match request.method.as_str() {
                "PUT" => self.write_manifest(repository, reference, headers, body),
                "DELETE" => self.delete_manifest(repository, reference),
                _ => self.read_manifest(repository, reference),
            }
        } else if let Some((repository, subject)) = path.split_once("/referrers/") {
            self.list_referrers(repository, subject, query)
        } else if let Some((repository, session)) = path.split_once("/blobs/uploads") {
            let session = session.trim_start_matches('/');
            self.upload(&parts.method, repository, session, query, &body)
        } else if let Some((repository, digest)) = path.split_once("/blobs/") {
            self.read_blob(repository, digest, headers)
        } else {
            refusal(404, "NOT_FOUND")
        }
    }

    /// The tags of every repository, each with its digest.
    pub fn tags(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        let mut tags = BTreeMap::<String, BTreeMap<String, String>>::new();
        for ((repository, reference), (_, bytes)) in &self.manifests {
            if !reference.contains(':') {
                let tags = tags.entry(repository.clone()).or_default();
                tags.insert(reference.clone(), digest_of(bytes));
            }
        }
        tags
    }

    /// Puts a tag on a manifest that the repository holds.
    pub fn retag(&mut self, repository: &str, tag: &str, digest: &str) {
        let key = |reference: &str| (repository.to_owned(), reference.to_owned());
        let manifest = self.manifests[&key(digest)].clone();
        self.manifests.insert(key(tag), manifest);
    }

    /// Removes a tag. What it stood for stays.
    pub fn untag(&mut self, repository: &str, tag: &str) {
        self.manifests
            .remove(&(repository.to_owned(), tag.to_owned()));
    }

    /// The manifests that an index names, and whether the repository holds each.
    pub fn children(&self, repository: &str, digest: &str) -> Vec<(String, bool)> {
        let key = |reference: &str| (repository.to_owned(), reference.to_owned());
        let Some((_, bytes)) = self.manifests.get(&key(digest)) else {
            return Vec::new();
        };
        let json: Value = serde_json::from_slice(bytes).unwrap();
        let children = json["manifests"].as_array().into_iter().flatten();
        let children = children.map(|child| child["digest"].as_str().unwrap().to_owned());
        let held = |child: String| {
            let is_held = self.manifests.contains_key(&key(&child));
            (child, is_held)
        };
        children.map(held).collect()
    }

    fn tag_list(&self, repository: &str, query: &str, host: &str) -> Response<Body> {
        let of_repository = self.manifests.keys().filter(|(name, _)| name == repository);
        let tags: Vec<_> = of_repository
            .map(|(_, reference)| reference)
            .filter(|name| !name.contains(':'))
            .collect();
        if tags.is_empty() {
            return refusal(404, "NAME_UNKNOWN");
        }
        let last = parameter(query, "last").unwrap_or_default();
        let (size, link) = self
            .oddities
            .pages
            .unwrap_or((usize::MAX, PageLink::Relative));
        let later: Vec<_> = tags.into_iter().filter(|tag| **tag > last).collect();
        let page: Vec<_> = later.iter().take(size).collect();
        let mut response = answer(200, &json!({ "name": repository, "tags": page }));
        if later.len() > page.len() || link == PageLink::Loop {
            let last = if link == PageLink::Loop {
                last.as_str()
            } else {
                page[page.len() - 1]
            };
            let next = format!("/v2/{repository}/tags/list?last={last}&n={size}");
            let base = match link {
                PageLink::Relative | PageLink::AmongOthers => String::new(),
                PageLink::Absolute | PageLink::Loop => format!("http://{host}"),
                PageLink::OtherHost => format!("http://{}", self.oddities.other_host),
            };
            let first = match link {
                PageLink::AmongOthers => {
                    format!("</v2/{repository}/tags/list?n={size}>; rel=\"first\", ")
                }
                _ => String::new(),
            };
            let links = format!("{first}<{base}{next}>; rel=\"next\"");
            response
                .headers_mut()
                .insert(header::LINK, links.parse().unwrap());
        }
        response
    }

    fn list_referrers(&self, repository: &str, subject: &str, query: &str) -> Response<Body> {
        let Some(size) = self.oddities.referrers else {
            return refusal(404, "NOT_FOUND");
        };
        let last = parameter(query, "last").unwrap_or_default();
        let of_repository = self
            .manifests
            .iter()
            .filter(|((name, _), _)| name == repository);
        let entries: Vec<_> = of_repository
            .filter(|((_, digest), _)| digest.contains(':') && *digest > last)
            .filter_map(|((_, digest), (media_type, bytes))| {
                let json: Value = serde_json::from_slice(bytes).unwrap();
                let entry = json!({ "mediaType": media_type, "digest": digest,
                    "size": bytes.len(), "artifactType": json["artifactType"] });
                (json["subject"]["digest"] == subject).then_some((digest, entry))
            })
            .collect();
        let page: Vec<_> = entries.iter().take(size).map(|(_, entry)| entry).collect();
        let mut response = answer(200, &json!({ "schemaVersion": 2, "manifests": page }));
        if entries.len() > page.len() {
            let last = entries[page.len() - 1].0;
            let link = format!("</v2/{repository}/referrers/{subject}?last={last}>; rel=\"next\"");
            response
                .headers_mut()
                .insert(header::LINK, link.parse().unwrap());
        }
        response
    }

    fn read_manifest(&self, repository: &str, reference: &str) -> Response<Body> {
        let Some((media_type, bytes)) = self
            .manifests
            .get(&(repository.to_owned(), reference.to_owned()))
        else {
            return refusal(404, "MANIFEST_UNKNOWN");
        };
        let mut builder = Response::builder().header(header::CONTENT_TYPE, media_type);
        if !self.oddities.no_digest_header {
            builder = builder.header("docker-content-digest", digest_of(bytes));
        }
        // Hyper sends no body in answer to a HEAD, but its length.
        builder
            .header(header::CONTENT_LENGTH, bytes.len())
            .body(Body::from(bytes.clone()))
            .unwrap()
    }

    fn write_manifest(
        &mut self,
        repository: &str,
        reference: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Response<Body> {
        let media_type = headers[header::CONTENT_TYPE].to_str().unwrap().to_owned();
        let digest = digest_of(&body);
        for name in [digest.as_str(), reference] {
            self.manifests.insert(
                (repository.to_owned(), name.to_owned()),
                (media_type.clone(), body.clone()),
            );
        }
        created(&format!("/v2/{repository}/manifests/{digest}"), &digest)
    }

    /// A tag goes alone, a digest with all of its tags.
    fn delete_manifest(&mut self, repository: &str, reference: &str) -> Response<Body> {
        let before = self.manifests.len();
        self.manifests.retain(|(name, known), (_, bytes)| {
            let goes = known == reference || digest_of(bytes) == reference;
            name != repository || !goes
        });
        match self.manifests.len() < before {
            true => answer(202, &json!({})),
            false => refusal(404, "MANIFEST_UNKNOWN"),
        }
    }

    fn read_blob(&self, repository: &str, digest: &str, headers: &HeaderMap) -> Response<Body> {
        let Some(bytes) = self.blobs.get(&(repository.to_owned(), digest.to_owned())) else {
            return refusal(404, "BLOB_UNKNOWN");
        };
        let range = headers
            .get(header::RANGE)
            .and_then(|value| value.to_str().ok()?.strip_prefix("bytes="));
        let from = range.and_then(|range| range.split('-').next()?.parse::<usize>().ok());
        match from.filter(|from| *from < bytes.len()) {
            None => Response::new(Body::from(bytes.clone())),
            Some(from) => Response::builder()
                .status(StatusCode::PARTIAL_CONTENT)
                .header(
                    header::CONTENT_RANGE,
                    format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len()),
                )
                .body(Body::from(bytes.slice(from..)))
                .unwrap(),
        }
    }

    fn upload(
        &mut self,
        method: &Method,
        repository: &str,
        session: &str,
        query: &str,
        body: &Bytes,
    ) -> Response<Body> {
        match *method {
            Method::POST | Method::PATCH | Method::PUT if self.is_too_large(body) => {
                Response::builder()
                    .status(StatusCode::PAYLOAD_TOO_LARGE)
                    .body(Body::from("<html>413 Payload Too Large</html>"))
                    .unwrap()
            }
            Method::PATCH | Method::PUT if self.is_out_of_date(session, query) => {
                refusal(404, "BLOB_UPLOAD_UNKNOWN")
            }
            Method::POST => self.open_upload(repository, query),
            Method::PATCH if self.oddities.last_part_wins => {
                self.uploads.insert(session.to_owned(), Vec::new());
                self.append(repository, session, body)
            }
            Method::PATCH if self.oddities.range_stands_still => {
                let mut state = self.append(repository, session, body);
                *state.status_mut() = StatusCode::CREATED;
                let range = HeaderValue::from_static("0-0");
                state.headers_mut().insert(header::RANGE, range);
                state
            }
            Method::PATCH => self.append(repository, session, body),
            Method::PUT => self.complete(repository, session, query, body),
            Method::DELETE => {
                self.uploads.remove(session);
                Response::builder()
                    .status(StatusCode::NO_CONTENT)
                    .body(Body::empty())
                    .unwrap()
            }
            _ => {
                let mut state = self.append(repository, session, &Bytes::new());
                if self.oddities.counts_like_quay {
                    let next = self.uploads.get(session).map_or(0, Vec::len);
                    let range = format!("bytes=0-{next}").parse().unwrap();
                    state.headers_mut().insert(header::RANGE, range);
                    state.headers_mut().remove(header::LOCATION);
                }
                state
            }
        }
    }

    fn is_out_of_date(&self, session: &str, query: &str) -> bool {
        let length = self
            .uploads
            .get(session)
            .map(|upload| upload.len().to_string());
        self.oddities.locations_move && parameter(query, "_state") != length
    }

    fn is_too_large(&self, body: &Bytes) -> bool {
        let largest = self.oddities.largest_body;
        largest.is_some_and(|largest| body.len() > largest)
    }

    /// Takes note of a request that broke off after `part` of its body.
    pub fn broke_off(&mut self, parts: &Parts, part: &[u8]) {
        let path = parts.uri.path();
        let session = path.split("/blobs/uploads/").nth(1).unwrap_or_default();
        if parts.method != Method::PATCH || self.oddities.broken_parts == BrokenParts::Dropped {
            return;
        }
        if self.oddities.broken_parts == BrokenParts::EndTheSession {
            self.uploads.remove(session);
        } else if let Some(upload) = self.uploads.get_mut(session) {
            upload.extend_from_slice(part);
        }
    }

    fn open_upload(&mut self, repository: &str, query: &str) -> Response<Body> {
        let (digest, from) = (parameter(query, "mount"), parameter(query, "from"));
        if let (Some(digest), Some(from), false) =
            (digest, from, self.oddities.mounts_become_uploads)
            && let Some(bytes) = self.blobs.get(&(from, digest.clone())).cloned()
        {
            self.blobs
                .insert((repository.to_owned(), digest.clone()), bytes);
            return created(&format!("/v2/{repository}/blobs/{digest}"), &digest);
        }
        self.sessions.opened += 1;
        let session = format!("session-{}", self.sessions.opened);
        self.uploads.insert(session.clone(), Vec::new());
        self.append(repository, &session, &Bytes::new())
    }

    fn append(&mut self, repository: &str, session: &str, body: &Bytes) -> Response<Body> {
        let Some(upload) = self.uploads.get_mut(session) else {
            return refusal(404, "BLOB_UPLOAD_UNKNOWN");
        };
        upload.extend_from_slice(body);
        let last = upload.len().saturating_sub(1);
        let location = match self.oddities.locations_move {
            true => format!(
                "/v2/{repository}/blobs/uploads/{session}?a=b%2Fc&_state={}",
                upload.len()
            ),
            false => format!("/v2/{repository}/blobs/uploads/{session}"),
        };
        let mut builder = Response::builder().status(StatusCode::ACCEPTED);
        if let Some(least) = self.oddities.least_part {
            builder = builder.header("oci-chunk-min-length", least);
        }
        builder
            .header(header::LOCATION, location)
            .header("docker-upload-uuid", session)
            .header(header::RANGE, format!("0-{last}"))
            .body(Body::empty())
            .unwrap()
    }

    fn complete(
        &mut self,
        repository: &str,
        session: &str,
        query: &str,
        body: &Bytes,
    ) -> Response<Body> {
        let Some(mut upload) = self.uploads.remove(session) else {
            return refusal(404, "BLOB_UPLOAD_UNKNOWN");
        };
        let Some(digest) = parameter(query, "digest") else {
            return refusal(400, "DIGEST_INVALID");
        };
        upload.extend_from_slice(body);
        if self.oddities.last_part_wins && digest_of(&upload) != digest {
            return refusal(400, "DIGEST_INVALID");
        }
        self.sessions.completed += 1;
        self.blobs
            .insert((repository.to_owned(), digest.clone()), upload.into());
        created(&format!("/v2/{repository}/blobs/{digest}"), &digest)
    }
}
