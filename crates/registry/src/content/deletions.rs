//! Deletes tags and manifests, in the ways that registries offer.

use reqwest::Method;

use crate::{
    Error, Kind, Operation, Registry,
    client::{BufferedResponse, Request},
    oci::{Digest, Reference, Repository, Tag},
    vendor::{Vendor, harbor::is_no_harbor},
};

/// The outcome of deleting one tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagDeletion {
    /// The tag is gone.
    Deleted,
    /// The registry cannot delete one tag, only a digest with all of its tags.
    DigestsOnly,
    /// The registry's API deletes nothing. Where to delete instead.
    Unsupported(&'static str),
}

impl Registry {
    /// Deletes a tag and nothing else, by the distribution specification or by Harbor's API.
    pub async fn delete_tag(
        &self,
        repository: &Repository,
        tag: &Tag,
    ) -> Result<TagDeletion, Error> {
        if let Some(reason) = Vendor::of(self.name()).no_deletion() {
            return Ok(TagDeletion::Unsupported(reason));
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

    /// Deletes a manifest and every tag of it.
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

    /// Distribution, Harbor and GitLab require a token with the `delete` action. Quay returns an
    /// unusable token if that is asked for, so that it is tried without the action first.
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

    /// Fails unless the response confirms the deletion. A redirect does not.
    pub(crate) fn is_deleted(
        &self,
        request: Request,
        answer: &BufferedResponse,
    ) -> Result<(), Error> {
        match answer.status.is_success() {
            true => Ok(()),
            false => {
                let text = format!("a deletion was answered {}", answer.status);
                let kind = Kind::Protocol(text);
                Err(self.http.error(request.operation, request.subject, kind))
            }
        }
    }
}

/// Whether the registry deletes no tags. Distribution 2 rejects a tag as an invalid digest, and
/// Harbor as unsupported.
fn is_unsupported(error: &Error) -> bool {
    matches!(
        &*error.kind,
        Kind::Rejected {
            status: 400 | 405 | 501,
            ..
        }
    )
}
