//! Hostile names, digests, platforms and manifests.

use bytes::Bytes;

use super::{
    Content, Digest, Manifest, Platform, RegistryName, Repository, Tag, Version,
    manifest::{DESCRIPTORS, LARGEST},
    parse_image,
};
use transship_fuzz::fuzz;

/// Whether a text may stand in a URL's path and in a header as it is.
fn is_harmless(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_graphic() && !b"%?#\\\"<>".contains(&b))
        && text
            .split('/')
            .all(|part| part != "." && part != ".." && !part.is_empty())
}

#[test]
fn a_name_that_is_accepted_can_break_out_of_nothing() {
    fuzz("image", |text| {
        if let Ok(tag) = text.parse::<Tag>() {
            assert!(is_harmless(tag.as_str()) && tag.as_str().len() <= 128);
            assert_eq!(tag.to_string(), text);
        }
        if let Ok(name) = text.parse::<RegistryName>() {
            assert!(is_harmless(name.as_str()));
            let url = url::Url::parse(&format!("https://{name}/"));
            let url = url.expect("a host");
            assert!(url.username().is_empty() && url.path() == "/");
            assert_eq!(name.to_string().parse(), Ok(name));
        }
        if let Ok(repository) = text.parse::<Repository>() {
            assert_eq!(repository.to_string().parse(), Ok(repository));
        }
        let Ok((repository, version)) = parse_image(text) else {
            return false;
        };
        assert!(is_harmless(repository.path()) && repository.path().len() <= 255);
        let written = match &version {
            None => repository.to_string(),
            Some(Version::Tag(tag)) => repository.tag(tag).to_string(),
            Some(Version::Digest(digest)) => repository.digest(digest).to_string(),
        };
        assert!(is_harmless(&written));
        assert_eq!(parse_image(&written).unwrap(), (repository, version));
        true
    });
}

#[test]
fn a_digest_that_is_accepted_is_the_text_that_it_was() {
    fuzz("digest", |text| {
        let Ok(digest) = text.parse::<Digest>() else {
            return false;
        };
        assert_eq!(digest.to_string(), text);
        assert!(is_harmless(text));
        assert_eq!(digest.short().len(), 12);
        assert!(!digest.matches(b"whatever"));
        true
    });
}

#[test]
fn a_platform_that_is_accepted_is_written_as_it_is_read() {
    fuzz("platform", |text| {
        let Ok(platform) = text.parse::<Platform>() else {
            return false;
        };
        let again: Platform = platform.to_string().parse().unwrap();
        assert_eq!(again.to_string(), platform.to_string());
        true
    });
}

#[test]
fn a_manifest_that_is_accepted_leads_to_what_can_be_copied() {
    let platforms = ["linux/amd64".parse::<Platform>().unwrap()];
    fuzz("manifest", |text| {
        let bytes = Bytes::from(text.to_owned());
        let manifest = match Manifest::new(bytes.clone(), Some("application/vnd.x+json; a=b")) {
            Ok(manifest) => manifest,
            Err(error) => {
                // What is wrong is reported.
                assert!(!error.to_string().is_empty());
                return false;
            }
        };
        assert_eq!(manifest.bytes, bytes);
        assert!(manifest.digest.matches(&bytes));
        assert!(manifest.media_type.bytes().all(|b| b.is_ascii_graphic()));
        let _ = (manifest.artifact_type(), manifest.config());
        for part in [
            manifest.for_platforms(&platforms),
            manifest.without_attestations(),
        ] {
            let Ok(part) = part else { continue };
            assert!(part.digest.matches(&part.bytes));
            assert!(part.bytes == bytes || Manifest::new(part.bytes, None).is_ok());
        }
        let Ok(Content::Image(parts) | Content::Index(parts)) = manifest.content() else {
            return false;
        };
        assert!(parts.len() <= DESCRIPTORS);
        assert!(parts.iter().all(|part| part.size <= LARGEST));
        true
    });
}

fn manifest(parts: &str) -> Result<Manifest, super::ManifestError> {
    let text = format!("{{\"schemaVersion\":2,\"layers\":[{parts}]}}");
    Manifest::new(Bytes::from(text), None)
}

fn part(size: &str) -> String {
    format!(
        "{{\"digest\":\"{}\",\"size\":{size}}}",
        Digest::of(size.as_bytes())
    )
}

#[test]
fn sizes_that_no_blob_has_are_refused() {
    assert!(manifest(&part("0")).is_ok());
    assert!(manifest(&part(&LARGEST.to_string())).is_ok());
    for odd in [
        &(LARGEST + 1).to_string(),
        "18446744073709551615",
        "18446744073709551616",
        "1.5",
        "1e30",
        "\"7\"",
    ] {
        assert!(manifest(&part(odd)).is_err(), "{odd}");
    }
}

#[test]
fn a_manifest_that_names_more_than_images_do_is_refused() {
    let many = |count: usize| vec![part("7"); count].join(",");
    assert!(manifest(&many(DESCRIPTORS)).is_ok());
    let refused = manifest(&many(DESCRIPTORS + 1)).unwrap_err().to_string();
    assert!(refused.contains("10001"), "{refused}");
    // As many as fit into the largest manifest that is read.
    let max_bytes = (4 << 20) / part("7").len();
    assert!(manifest(&many(max_bytes)).is_err());
}

#[test]
fn a_media_type_that_fits_in_no_header_is_refused() {
    let with = |media_type: &str| {
        let text = format!("{{\"schemaVersion\":2,\"mediaType\":\"{media_type}\",\"layers\":[]}}");
        Manifest::new(Bytes::from(text), None)
    };
    assert!(with("application/vnd.oci.image.manifest.v1+json").is_ok());
    for odd in [
        "a\\r\\nX-Evil: 1",
        "a\\u0000b",
        "a b",
        "a\\u001b[2J",
        "ä",
        &"x".repeat(256),
    ] {
        assert!(with(odd).is_err(), "{odd}");
    }
}

#[test]
fn digests_that_lead_elsewhere_are_no_digests() {
    for odd in [
        "sha256:../../x",
        "sha256:",
        "sha256:%2e%2e",
        "sha256:aa\r\nX: y",
        "../sha256:aa",
    ] {
        assert!(odd.parse::<Digest>().is_err(), "{odd}");
        let text = format!("{{\"layers\":[{{\"digest\":{odd:?},\"size\":1}}]}}");
        assert!(Manifest::new(Bytes::from(text), None).is_err(), "{odd}");
    }
}

#[test]
fn json_that_nests_without_end_breaks_nothing() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let depth = 200_000;
        let deep = format!("{}1{}", open.repeat(depth), close.repeat(depth));
        let text = format!("{{\"manifests\":{deep}}}");
        assert!(Manifest::new(Bytes::from(text), None).is_err());
        // What nobody reads may nest as it likes, and is not rewritten.
        let text = format!("{{\"manifests\":[],\"x\":{deep}}}");
        let manifest = Manifest::new(Bytes::from(text), None).unwrap();
        assert!(manifest.without_attestations().is_err());
    }
}
