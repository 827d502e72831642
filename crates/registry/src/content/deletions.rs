//! Deleting tags, in the ways that registries have for it.

use bytes::Bytes;
use reqwest::{Method, header::HeaderMap};
use url::Url;

use crate::{
    Error, Kind, PAGE_BYTES, Registry,
    auth::Scope,
    client::{Answer, Login, Request},
    oci::{Digest, Reference, Repository, Tag},
};

/// What became of a tag that was to be deleted alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone.
    Gone,
    /// The registry deletes no tag alone, only a digest with all of its tags.
    DigestsAlone,
    /// The registry's API deletes nothing.
    Never(&'static str),
}

impl Registry {
    /// Deletes a tag and nothing else, by the distribution specification or by Harbor's own API.
    pub async fn delete_tag(&self, repository: &Repository, tag: &Tag) -> Result<Deleted, Error> {
        match self.name().as_str() {
            "docker.io" => {
                let text =
                    "Docker Hub's registry deletes nothing; delete the tag at hub.docker.com";
                return Ok(Deleted::Never(text));
            }
            "ghcr.io" => {
                let text = "ghcr.io deletes nothing; delete the version on the package's page";
                return Ok(Deleted::Never(text));
            }
            _ => {}
        }
        let reference = repository.tag(tag);
        match self.delete_manifest(&reference).await {
            Ok(()) => return Ok(Deleted::Gone),
            Err(error) if error.is_not_found() => {
                if self.head_manifest(&reference).await?.is_none() {
                    return Ok(Deleted::Gone);
                }
            }
            Err(error) if !is_unsupported(&error) => return Err(error),
            Err(_) => {}
        }
        match self.delete_harbor_tag(&reference, tag).await {
            Ok(()) => Ok(Deleted::Gone),
            Err(error) if is_no_harbor(&error) => Ok(Deleted::DigestsAlone),
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
        let mut call = self.manifest_call("delete", reference, Method::DELETE);
        let auth = &self.transport.auth;
        call.scope.deletes = auth.deletes_in_words();
        let deleted = self.transport.call(&self.wire, &call).await;
        let is_denied = |error: &Error| matches!(*error.kind, Kind::Denied(_));
        let may_pass = auth.wants_tokens() && !call.scope.deletes;
        if !may_pass || !deleted.as_ref().is_err_and(is_denied) {
            return deleted.and_then(|answer| self.is_deleted(call, &answer));
        }
        call.scope.deletes = true;
        let deleted = self.transport.call(&self.wire, &call).await;
        if !deleted
            .as_ref()
            .is_err_and(|e| is_denied(e) || e.class() == crate::ErrorClass::Auth)
        {
            auth.deleted_in_words();
        }
        deleted.and_then(|answer| self.is_deleted(call, &answer))
    }

    /// Whether an answer says so: one that sends us elsewhere does not.
    fn is_deleted(&self, call: Request, answer: &Answer) -> Result<(), Error> {
        match answer.status.is_success() {
            true => Ok(()),
            false => {
                let text = format!("a deletion was answered {}", answer.status);
                let kind = Kind::Protocol(text);
                Err(self.wire.error(call.operation, call.subject, kind))
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
        let mut url = Url::clone(&self.wire.base);
        url.set_path(&format!(
            "/api/v2.0/projects/{project}/repositories/{name}/artifacts/{tag}/tags/{tag}"
        ));
        let call = Request {
            operation: "delete",
            subject: reference.to_string(),
            url,
            scope: Scope::catalog(),
            method: Method::DELETE,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            most: PAGE_BYTES,
        };
        let answer = self
            .transport
            .call_as(&self.wire, &call, Login::Basic)
            .await?;
        self.is_deleted(call, &answer)
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
