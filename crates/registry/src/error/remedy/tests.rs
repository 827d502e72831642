use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::json;

use crate::{Operation, auth::Scope, client::failure, error::remedy::*};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn request(method: Method, path: &str) -> Request {
    let repository = "mirror/team/app";
    let url = format!("https://r.example.com/v2/{repository}/{path}");
    Request {
        operation: Operation::PushManifest,
        subject: String::new(),
        method,
        url: url.parse().unwrap(),
        scope: Scope {
            repository: repository.into(),
            writes: true,
            deletes: false,
            from: None,
        },
        headers: HeaderMap::new(),
        body: Bytes::new(),
        max_bytes: 0,
    }
}

fn begun() -> Request {
    request(Method::POST, "blobs/uploads/")
}

fn tagged() -> Request {
    request(Method::PUT, "manifests/v1")
}

fn writing(manifest: &Value, media_type: &'static str) -> Request {
    let mut request = tagged();
    let media_type = HeaderValue::from_static(media_type);
    request.headers.insert(CONTENT_TYPE, media_type);
    request.body = manifest.to_string().into();
    request
}

fn refused(request: &Request, status: u16, said: &str) -> Error {
    let status = reqwest::StatusCode::from_u16(status).unwrap();
    let kind = failure(status, &HeaderMap::new(), said.as_bytes());
    let name = "r.example.com".parse().unwrap();
    let error = Error::new(
        Operation::PushManifest,
        "it",
        &name,
        reclassify(request, kind),
    );
    let remedy = remedy(request, &error);
    error.with_remedy(remedy)
}

#[test]
fn immovable_tag_is_blocked_for_good() {
    for (status, said) in [
        (
            412,
            r#"{"errors":[{"code":"PRECONDITION","message":"Failed to process request due to 'app:v1' configured as immutable."}]}"#,
        ),
        (412, "precondition failed"),
        (
            400,
            r#"{"errors":[{"code":"TAG_INVALID","message":"The image tag 'v1' already exists in the 'app' repository and cannot be overwritten because the repository is immutable."}]}"#,
        ),
        (409, "ImageTagAlreadyExistsException"),
        (403, "denied: the tag is immutable"),
        (400, "repository does not allow updating assets: hosted"),
        (
            405,
            r#"{"errors":[{"code":"UNSUPPORTED","message":"The operation is disallowed on this registry, repository or image."}]}"#,
        ),
    ] {
        let error = refused(&tagged(), status, said);
        assert_eq!(
            (error.class(), error.is_transient()),
            (crate::ErrorClass::Blocked, false),
            "{said}"
        );
        assert_eq!(error.remedy, None, "{said}");
    }
}

#[test]
fn echoed_names_do_not_block_tags() {
    let child = request(Method::PUT, &format!("manifests/sha256:{}", "0".repeat(64)));
    let other = tagged();
    let named = request(Method::PUT, "manifests/immutable");
    for (request, status, said) in [
        (&child, 412, "configured as immutable"),
        (&begun(), 412, "configured as immutable"),
        (&other, 400, "manifest invalid"),
        (&other, 403, "requested access to the resource is denied"),
        (&named, 400, "mirror/team/app:immutable: manifest invalid"),
        (&other, 500, "immutable"),
        (&other, 500, "database is locked"),
        (&other, 403, "the account was blocked"),
    ] {
        assert_ne!(
            refused(request, status, said).class(),
            crate::ErrorClass::Blocked,
            "{said}"
        );
    }
}

#[test]
fn a_tag_that_a_target_does_not_let_go_is_blocked() {
    let by_harbor = {
        let mut request = request(Method::DELETE, "");
        request
            .url
            .set_path("/api/v2.0/projects/mirror/repositories/app/artifacts/v1/tags/v1");
        request
    };
    for (request, status, said) in [
        (
            &by_harbor,
            412,
            "the tag v1 configured immutable, cannot be deleted",
        ),
        (
            &request(Method::DELETE, "manifests/v1"),
            405,
            "The operation is disallowed on this registry",
        ),
    ] {
        assert_eq!(
            refused(request, status, said).class(),
            crate::ErrorClass::Blocked
        );
    }
    let unsupported = refused(&request(Method::DELETE, "manifests/v1"), 405, "UNSUPPORTED");
    assert_eq!(unsupported.class(), crate::ErrorClass::Rejected);
}

#[test]
fn what_has_to_be_created_first_is_named() {
    for (status, said, expected) in [
        (
            404,
            r#"{"errors":[{"code":"NAME_UNKNOWN","message":"The repository with name 'mirror/team/app' does not exist in the registry with id '1'"}]}"#,
            "create the repository `mirror/team/app` there first",
        ),
        (
            400,
            "RepositoryNotFoundException",
            "create the repository `mirror/team/app`",
        ),
        (
            404,
            r#"{"errors":[{"code":"NOT_FOUND","message":"project mirror not found"}]}"#,
            "create the project `mirror` there first",
        ),
        (
            401,
            "project mirror not found",
            "create the project `mirror` there first",
        ),
        (
            403,
            "denied: namespace does not exist",
            "create the namespace `mirror`",
        ),
        (
            404,
            "the organization does not exist",
            "create the organization `mirror`",
        ),
        (
            403,
            "requested access to the resource is denied",
            "where a project, namespace or organization has to be there first, create `mirror`",
        ),
    ] {
        let error = refused(&begun(), status, said);
        let text = error.to_string();
        assert!(text.contains(expected), "{said}: {text}");
        assert!(!error.is_transient(), "{said}");
    }
    let error = refused(&begun(), 404, "BLOB_UNKNOWN: unknown to this repository");
    assert_eq!(error.remedy, None);
    let error = refused(&tagged(), 400, "unknown field `subject` in this repository");
    assert_eq!(error.remedy, None);
    let mut read = begun();
    read.method = Method::GET;
    let error = refused(&read, 404, "NAME_UNKNOWN");
    assert_eq!(
        error.remedy, None,
        "a repository that is not there is empty"
    );
}

#[test]
fn refused_manifest_type_names_the_key() {
    let config = json!({ "mediaType": "application/vnd.oci.image.config.v1+json" });
    let docker = "application/vnd.docker.distribution.manifest.v2+json";
    let oci = "application/vnd.oci.image.manifest.v1+json";
    let attested = json!({ "annotations": { "vnd.docker.reference.digest": "sha256:0" } });
    for (manifest, media_type, expected) in [
        (
            json!({ "manifests": [attested] }),
            INDEX,
            "`attestations = \"drop\"`",
        ),
        (
            json!({ "config": config, "layers": [{ "mediaType": ATTESTATION }] }),
            oci,
            "`attestations = \"drop\"`",
        ),
        (
            json!({ "config": { "mediaType": "application/vnd.oci.empty.v1+json" }, "subject": {} }),
            oci,
            "`referrers = false`",
        ),
        (
            json!({ "config": { "mediaType": "application/vnd.oci.empty.v1+json" } }),
            oci,
            "no image but an artifact; `exclude`",
        ),
        (
            json!({ "config": config, "layers": [{ "mediaType": "application/vnd.oci.image.layer.v1.tar+zstd" }] }),
            oci,
            "zstd; `exclude`",
        ),
        (
            json!({ "config": { "mediaType": "application/vnd.docker.container.image.v1+json" } }),
            docker,
            "zot takes",
        ),
        (
            json!({ "manifests": [{ "mediaType": docker }] }),
            INDEX,
            "an OCI index of docker's images",
        ),
    ] {
        let request = writing(&manifest, media_type);
        for (status, said) in [
            (400, "MANIFEST_INVALID"),
            (415, ""),
            (403, "unknown manifest class"),
        ] {
            let text = refused(&request, status, said).to_string();
            assert!(text.contains(expected), "{said}: {text}");
        }
        assert_eq!(refused(&request, 403, "no access").remedy, None);
        assert_eq!(refused(&request, 400, "MANIFEST_BLOB_UNKNOWN").remedy, None);
    }
    let plain = writing(&json!({ "config": config, "layers": [] }), oci);
    assert_eq!(refused(&plain, 400, "MANIFEST_INVALID").remedy, None);
}

#[test]
fn a_manifest_that_is_too_large_is_told_with_its_size() {
    let large = writing(
        &json!({ "config": {}, "annotations": { "a": "x".repeat(2 << 20) } }),
        INDEX,
    );
    for (status, said) in [(413, "<html>"), (400, "manifest too large")] {
        let text = refused(&large, status, said).to_string();
        assert!(text.contains("its manifest has 2.0 MiB"), "{text}");
    }
}
