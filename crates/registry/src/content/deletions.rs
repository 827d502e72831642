//! Deleting tags, in the ways that registries have for it.

use bytes::Bytes;
use reqwest::{Method, header::HeaderMap};
use url::Url;

use crate::{
    Error, Kind, Operation, PAGE_BYTES, Registry,
    auth::Scope,
    client::{AuthScheme, BufferedResponse, Request},
    oci::{Digest, Reference, Repository, Tag},
};

/// What became of a tag that was to be deleted alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagDeletion {
    /// It is gone.
    Deleted,
    /// The registry deletes no tag alone, only a digest with all of its tags.
    DigestsOnly,
    /// The registry's API deletes nothing.
    Unsupported(&'static str),
}

impl Registry {
    /// Deletes a tag and nothing else, by the distribution specification or by Harbor's own API.
    pub async fn delete_tag(
        &self,
        repository: &Repository,
        tag: &Tag,
    ) -> Result<TagDeletion, Error> {
        match self.name().as_str() {
            "docker.io" => {
                let text =
                    "Docker Hub's registry deletes nothing; delete the tag at hub.docker.com";
                return Ok(TagDeletion::Unsupported(text));
            }
            "ghcr.io" => {
                let text = "ghcr.io deletes nothing; delete the version on the package's page";
                return Ok(TagDeletion::Unsupported(text));
            }
            _ => {}
        }
        let reference = repository.tag(tag);
        match self.delete_manifest(&reference).await {
            Ok(()) => return Ok(TagDeletion::Deleted),
            Err(error) if error.is_not_found() => {
                if self.head_manifest(&reference).await?.is_none() {
                    return Ok(TagDeletion::Deleted);
                }
            }
            Err(error) if !is_unsupported(&error) => return Err(error),
            Err(_) => {}
        }
        match self.delete_harbor_tag(&reference, tag).await {
            Ok(()) => Ok(TagDeletion::Deleted),
            Err(error) if is_no_harbor(&error) => Ok(TagDeletion::DigestsOnly),
            Err(error) => Err(error),
        }
    }

    /// Deletes a manifest, and with it every tag that names it.
    pub async fn delete_digest(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<(), Error> {
        match self.delete_manifest(&repository.digest(digest)).await {
            Err(error) if error.is_not_found() => Ok(()),
            other => other,
        }
    }

    /// Distribution, Harbor and GitLab want a token that is for deletions in so many words; Quay
    /// gives none that is good for anything where that is asked for.
    async fn delete_manifest(&self, reference: &Reference) -> Result<(), Error> {
        let mut request = self.manifest_request(Operation::Delete, reference, Method::DELETE);
        let auth = &self.client.auth;
        request.scope.deletes = auth.requires_delete_scope();
        let deleted = self.client.send(&self.http, &request).await;
        let is_denied = |error: &Error| matches!(*error.kind, Kind::Denied(_));
        let may_pass = auth.wants_tokens() && !request.scope.deletes;
        if !may_pass || !deleted.as_ref().is_err_and(is_denied) {
            return deleted.and_then(|answer| self.is_deleted(request, &answer));
        }
        request.scope.deletes = true;
        let deleted = self.client.send(&self.http, &request).await;
        if !deleted
            .as_ref()
            .is_err_and(|e| is_denied(e) || e.class() == crate::ErrorClass::Auth)
        {
            auth.set_requires_delete_scope();
        }
        deleted.and_then(|answer| self.is_deleted(request, &answer))
    }

    /// Whether an answer says so: one that sends us elsewhere does not.
    fn is_deleted(&self, request: Request, answer: &BufferedResponse) -> Result<(), Error> {
        match answer.status.is_success() {
            true => Ok(()),
            false => {
                let text = format!("a deletion was answered {}", answer.status);
                let kind = Kind::Protocol(text);
                Err(self.http.error(request.operation, request.subject, kind))
            }
        }
    }

    /// Harbor's own interface
    /// ([its API](https://github.com/goharbor/harbor/blob/main/api/v2.0/swagger.yaml)); a slash in
    /// a repository's name is escaped twice there.
    async fn delete_harbor_tag(&self, reference: &Reference, tag: &Tag) -> Result<(), Error> {
        let path = reference.repository.path();
        let (project, name) = path.split_once('/').unwrap_or((path, ""));
        let name = name.replace('/', "%252F");
        let mut url = Url::clone(&self.http.base);
        url.set_path(&format!(
            "/api/v2.0/projects/{project}/repositories/{name}/artifacts/{tag}/tags/{tag}"
        ));
        let request = Request {
            operation: Operation::Delete,
            subject: reference.to_string(),
            url,
            scope: Scope::catalog(),
            method: Method::DELETE,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            max_bytes: PAGE_BYTES,
        };
        let answer = self
            .client
            .send_as(&self.http, &request, AuthScheme::Basic)
            .await?;
        self.is_deleted(request, &answer)
    }
}

/// Whether the registry deletes no tags: distribution 2 takes a tag for a broken digest, and
/// Harbor says that it is unsupported.
fn is_unsupported(error: &Error) -> bool {
    matches!(
        &*error.kind,
        Kind::Rejected {
            status: 400 | 405 | 501,
            ..
        }
    )
}

/// Whether nothing answers there as Harbor does.
fn is_no_harbor(error: &Error) -> bool {
    match &*error.kind {
        Kind::NotFound(_) | Kind::Unauthorized(_) | Kind::Protocol(_) => true,
        Kind::Rejected { status, .. } => matches!(status, 400 | 405),
        _ => false,
    }
}
