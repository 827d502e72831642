//! The stage itself is tested: registries, content and log, without the binary.

use crate::support::programs::skopeo::{raw_manifest, skopeo};
use crate::support::registries::client::assert_mirrored;
use crate::support::registries::corpus::Image;
use crate::support::registries::fake::Fake;
use crate::support::registries::fake_contents::{Oddities, PageLink};
use crate::support::registries::fake_tokens::Habits;
use crate::support::registries::registry::{Guard, Registry};
use crate::support::registries::requests::{assert_only_reads, lines};

fn every_kind() -> Vec<Image> {
    let amd64 = Image::oci_for("kinds", "linux/amd64");
    let attestation = Image::attestation(&amd64);
    vec![
        Image::oci("plain"),
        Image::docker("docker"),
        Image::artifact("artifact"),
        Image::without_layers("bare"),
        Image::with_a_layer_twice("twice"),
        Image::zstd("zstd"),
        Image::two_platforms("platforms"),
        Image::docker_list("list"),
        Image::index(vec![
            Image::two_platforms("inner"),
            Image::oci_for("outer", "linux/s390x"),
        ]),
        Image::index(vec![amd64, attestation]),
    ]
}

#[test]
fn registry_serves_pushed_content() {
    let (one, two) = (Registry::start(), Registry::start());
    for (number, image) in every_kind().iter().enumerate() {
        let tag = format!("v{number}");
        one.client().push("kinds/all", &tag, image);
        two.client().push("kinds/all", &tag, image);
        assert_mirrored(&one.client(), "kinds/all", &two.client(), "kinds/all", &tag);
        assert!(
            image
                .unique_blobs()
                .keys()
                .all(|digest| two.has_blob(digest))
        );
    }
    assert_eq!(one.client().tags("kinds/all").len(), every_kind().len());
    assert_eq!(one.client().repositories(), ["kinds/all"]);
}

#[test]
fn registry_can_lose_content() {
    let registry = Registry::start();
    let (client, image) = (registry.client(), Image::oci("lost"));
    client.push("app", "v1", &image);
    let digest = image.blobs[0].digest();
    registry.lose_blob(&digest);
    assert!(client.blob("app", &digest).is_none());
    client.delete_manifest("app", &image.digest());
    assert!(client.tags("app").is_empty());
    registry.wipe();
    assert!(client.repositories().is_empty());
}

#[test]
fn registry_log_omits_own_requests() {
    let registry = Registry::start();
    registry.client().push("app", "v1", &Image::oci("logged"));
    assert!(registry.new_requests().is_empty());
    let raw = raw_manifest(registry.host(), "app:v1");
    assert_eq!(raw, Image::oci("logged").bytes);
    let requests = registry.new_requests();
    assert!(
        lines(&requests).contains(&"GET /v2/app/manifests/v1".to_owned()),
        "{requests:#?}"
    );
    assert_only_reads(&requests);
    assert!(registry.new_requests().is_empty());
}

#[test]
fn guarded_registry_checks_logins() {
    let (login, tls) = (
        Registry::guarded(Guard::Login),
        Registry::guarded(Guard::Tls),
    );
    for registry in [&login, &tls] {
        registry.client().push("app", "v1", &Image::oci("guarded"));
        assert_eq!(registry.client().tags("app"), ["v1"]);
    }
    assert!(tls.ca_file().exists());
    let output = skopeo("inspect")
        .arg(format!("docker://{}/app:v1", login.host()))
        .output()
        .unwrap();
    assert!(!output.status.success(), "it lets anybody in");
}

#[test]
fn fake_serves_like_a_registry() {
    let (fake, registry) = (Fake::start(), Registry::start());
    for (number, image) in every_kind().iter().enumerate() {
        let tag = format!("v{number}");
        fake.client().push("kinds/all", &tag, image);
        registry.client().push("kinds/all", &tag, image);
        assert_mirrored(
            &registry.client(),
            "kinds/all",
            &fake.client(),
            "kinds/all",
            &tag,
        );
    }
    assert!(fake.requests().is_empty());
    assert_eq!(fake.sessions().opened, fake.sessions().completed);
    assert_eq!(
        raw_manifest(fake.host(), "kinds/all:v0"),
        Image::oci("plain").bytes
    );
    assert!(!fake.new_requests().is_empty());
}

#[test]
fn fake_tokens_work_with_skopeo() {
    let fake = Fake::start();
    fake.client()
        .push("app", "v1", &Image::oci("behind tokens"));
    fake.demand_tokens(Habits {
        realm_query: "tenant=acme",
        ..Habits::default()
    });
    raw_manifest(fake.host(), "app:v1");
    assert_eq!(fake.tokens(|tokens| tokens.requests()), 1);
}

#[test]
fn fake_pages_tags() {
    let fake = Fake::with(Oddities {
        pages: Some((3, PageLink::Relative)),
        ..Oddities::default()
    });
    for number in 0..7 {
        fake.client()
            .push("app", &format!("v{number}"), &Image::oci("paged"));
    }
    let output = skopeo("list-tags")
        .arg(format!("docker://{}/app", fake.host()))
        .output()
        .unwrap();
    let listing: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(listing["Tags"].as_array().unwrap().len(), 7);
}
