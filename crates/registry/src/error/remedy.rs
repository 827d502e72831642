//! Reclassifies refused writes, and finds remedies: the request and the registry's message together
//! show more than the status.

use bytesize::ByteSize;
use reqwest::{Method, header::CONTENT_TYPE};
use serde_json::Value;

use crate::{Error, Kind, client::Request, header, oci::WITHDRAWN_MEDIA_TYPES};

/// Words of a refusal to move or delete a tag: Harbor, ECR, Artifact Registry and Docker Hub, ECR,
/// Harbor, Nexus, Azure's ACR.
const BLOCKED: [&str; 8] = [
    "immutab",
    "imagetagalreadyexists",
    "cannot be overwritten",
    "precondition",
    "does not allow updating",
    "operation is disallowed",
    "writeenabled",
    "is locked",
];
/// Words of a refusal because something does not exist.
const ABSENT: [&str; 5] = ["not found", "not exist", "not known", "notfound", "unknown"];
/// What may have to be created before the first push: the first part of a repository's name.
const MADE_FIRST: [&str; 4] = ["project", "namespace", "organization", "organisation"];
/// Words of a refusal because of a manifest's type.
const UNWANTED: [&str; 6] = [
    "media",
    "manifest",
    "unsupported",
    "artifact",
    "schema",
    "config",
];
/// The layers of an attestation.
const ATTESTATION: &str = "application/vnd.in-toto+json";
/// Words of a refusal because of a body's size.
const TOO_LARGE: [&str; 3] = ["too large", "size_invalid", "exceeds"];
/// The configs of images; others are those of artifacts.
const CONFIGS: [&str; 2] = [
    "application/vnd.oci.image.config.",
    "application/vnd.docker.container.image.",
];

/// Words of a target whose storage quota is used up: Harbor, Quay, Artifactory, GitLab and clouds.
const QUOTA: [&str; 7] = [
    "configured upper limit",
    "quota",
    "storage limit",
    "storage space",
    "insufficient storage",
    "insufficient_storage",
    "storage resource",
];
/// Words of a target whose disk is full: system errors, by name or number, and those of MinIO.
const DISK: [&str; 9] = [
    "no space left",
    "enospc",
    "disk full",
    "disk is full",
    "disk quota exceeded",
    "not enough space",
    "storagefull",
    "minimum free drive threshold",
    "\"err\":28",
];
/// Words of a target that is read-only.
const READ_ONLY: [&str; 7] = [
    "read-only",
    "read only",
    "readonly",
    "read_only",
    "maintenance mode",
    "under maintenance",
    "\"err\":30",
];

/// The kind of a refused write if the target cannot store anything.
fn storage_refusal(request: &Request, kind: &Kind) -> Option<Kind> {
    if !request.scope.writes || request.method == Method::DELETE {
        return None;
    }
    let (status, message) = match kind {
        Kind::Denied(message) => (403, message),
        Kind::Rejected { status, message } | Kind::Server { status, message } => (*status, message),
        _ => return None,
    };
    let text = || message.clone();
    if says(request, message, &DISK) {
        Some(Kind::DiskFull(text()))
    } else if says(request, message, &READ_ONLY)
        || (status == 405 && request.method == Method::POST)
    {
        Some(Kind::ReadOnly(text()))
    } else if status == 507 || says(request, message, &QUOTA) {
        Some(Kind::StorageQuota(text()))
    } else {
        None
    }
}

/// The kind of a failure by its message, where that shows more than the status.
pub(crate) fn reclassify(request: &Request, kind: Kind) -> Kind {
    let changes_tag = writes_tag(request) || request.method == Method::DELETE;
    let is_blocked = |message: &str| changes_tag && says(request, message, &BLOCKED);
    if let Some(refusal) = storage_refusal(request, &kind) {
        return refusal;
    }
    match kind {
        Kind::Denied(message) | Kind::Rejected { message, .. } if is_blocked(&message) => {
            Kind::Blocked(message)
        }
        other => other,
    }
}

/// What to do about a refusal, if that is known.
pub(crate) fn remedy(request: &Request, error: &Error) -> Option<String> {
    let is_begun = request.method == Method::POST && request.scope.writes;
    if (!is_begun && !writes_manifest(request)) || error.is_missing_content() {
        return None;
    }
    let (status, message) = match &*error.kind {
        Kind::Unauthorized(message) => (401, message),
        Kind::Denied(message) => (403, message),
        Kind::NotFound(message) => (404, message),
        Kind::Rejected { status, message } => (*status, message),
        _ => return None,
    };
    if let Some(first) = made_first(request, message) {
        return Some(first);
    }
    match writes_manifest(request) {
        true => unwanted(request, status, message),
        // Many registries answer only 403 if the project does not exist.
        false => (status == 403).then(|| {
            let names = "project, namespace or organization";
            format!(
                "where a {names} has to be there first, create `{}`",
                top(request)
            )
        }),
    }
}

/// Names what has to be created before the first push, if the message shows that it is missing.
fn made_first(request: &Request, message: &str) -> Option<String> {
    let is_unknown = says(request, message, &["name_unknown", "repositorynotfound"]);
    // What a manifest has may be unknown to a repository that is there.
    if !is_unknown && (writes_manifest(request) || !says(request, message, &ABSENT)) {
        return None;
    }
    let path = &request.scope.repository;
    let part = MADE_FIRST
        .iter()
        .find(|part| says(request, message, &[part]));
    match part {
        Some(part) => Some(format!("create the {part} `{}` there first", top(request))),
        None if is_unknown || says(request, message, &["repository"]) => Some(format!(
            "create the repository `{path}` there first, or what its name begins with"
        )),
        None => None,
    }
}

/// Which setting leaves out what a target refuses of a manifest.
fn unwanted(request: &Request, status: u16, message: &str) -> Option<String> {
    if status == 413 || says(request, message, &TOO_LARGE) {
        let size = ByteSize(request.body.len() as u64);
        return Some(format!(
            "its manifest has {size}: raise what the target, or a proxy before it, takes in a \
             request; most registries take manifests of 4 MiB"
        ));
    }
    let is_about_kind = matches!(status, 415 | 422) || says(request, message, &UNWANTED);
    let manifest: Value = serde_json::from_slice(&request.body).ok()?;
    is_about_kind
        .then(|| remedies(request, &manifest).join("; "))
        .filter(|text| !text.is_empty())
}

/// The settings that leave out what is unusual about a manifest.
fn remedies(request: &Request, manifest: &Value) -> Vec<String> {
    let list = |key: &str| manifest[key].as_array().map_or(&[][..], Vec::as_slice);
    let (layers, children) = (list("layers"), list("manifests"));
    let media_type = |entry: &Value| entry["mediaType"].as_str().unwrap_or_default().to_owned();
    let is_attested =
        |entry: &Value| entry["annotations"]["vnd.docker.reference.digest"].is_string();
    let config = media_type(&manifest["config"]);
    let own = header(&request.headers, CONTENT_TYPE.as_str()).unwrap_or_default();
    let is_attestation = layers.iter().any(|layer| media_type(layer) == ATTESTATION);
    let is_image = CONFIGS.iter().any(|known| config.starts_with(known));
    let refers = manifest["subject"].is_object() || version(request).starts_with("sha256-");
    let is_docker = |text: &str| text.starts_with("application/vnd.docker.");
    let is_mixed = !is_docker(own) && children.iter().any(|child| is_docker(&media_type(child)));
    let remedies = [
        (
            is_attestation || children.iter().any(is_attested),
            "`attestations = \"drop\"` leaves its attestations out, and `\"if-accepted\"` does where the target refuses them",
        ),
        (
            refers,
            "`referrers = false`, or a list of types, leaves out what refers to images",
        ),
        (
            !is_image && !config.is_empty() && !refers && !is_attestation,
            "it is no image but an artifact; `exclude` leaves its tag out",
        ),
        (
            layers
                .iter()
                .any(|layer| media_type(layer).ends_with("+zstd")),
            "its layers are compressed with zstd; `exclude` leaves its tag out",
        ),
        (
            WITHDRAWN_MEDIA_TYPES.contains(&own) && !refers,
            "it is of a type that OCI 1.1 withdrew before its release; `exclude` leaves its tag out",
        ),
        (
            is_docker(own),
            "it is of docker's types, which zot takes where its config has `compat`",
        ),
        (
            is_mixed,
            "it is an OCI index of docker's images; `exclude` leaves its tag out",
        ),
    ];
    let applies = |(applies, text): (bool, &str)| applies.then(|| text.to_owned());
    remedies.into_iter().filter_map(applies).collect()
}

fn writes_manifest(request: &Request) -> bool {
    request.method == Method::PUT && request.url.path().contains("/manifests/")
}

fn writes_tag(request: &Request) -> bool {
    writes_manifest(request) && !version(request).contains(':')
}

/// The tag or the digest at the end of the URL of a manifest.
fn version(request: &Request) -> &str {
    request.url.path().rsplit('/').next().unwrap_or_default()
}

/// What the name of the repository begins with.
fn top(request: &Request) -> &str {
    let path = &*request.scope.repository;
    path.split_once('/').map_or(path, |(top, _)| top)
}

/// Whether a message contains one of these words. Words of the item's own name do not count: the
/// message may quote the name.
fn says(request: &Request, message: &str, words: &[&str]) -> bool {
    let message = message.to_ascii_lowercase();
    let name = request.url.path().to_ascii_lowercase();
    // `/manifests/` is no name.
    let name = name.replacen("/manifests/", "/", 1);
    let mut words = words.iter().filter(|word| !name.contains(**word));
    words.any(|word| message.contains(word))
}

#[cfg(test)]
mod tests;
