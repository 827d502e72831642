use bytes::Bytes;
use proptest::prelude::*;

use super::*;

fn digest(n: u8) -> String {
    format!("sha256:{}", format!("{n:02x}").repeat(32))
}

fn entry(n: u8, os: &str, arch: &str) -> String {
    format!(
        r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{}","size":7,"x":{{"b":1,"a":2}},"platform":{{"architecture":"{arch}","os":"{os}"}}}}"#,
        digest(n)
    )
}

fn index(entries: &[String]) -> Manifest {
    let text = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{}]}}"#,
        entries.join(",")
    );
    Manifest::new(Bytes::from(text), None).unwrap()
}

fn children(manifest: &Manifest) -> Vec<String> {
    match manifest.content().unwrap() {
        Content::Index(children) => children.iter().map(|c| c.digest.to_string()).collect(),
        Content::Image(_) => panic!("not an index"),
    }
}

#[test]
fn short_names_mean_docker_hub() {
    for name in [
        "nginx",
        "docker.io/nginx",
        "docker.io/library/nginx",
        "index.docker.io/nginx",
    ] {
        assert_eq!(
            parse_image(name).unwrap().0.to_string(),
            "docker.io/library/nginx"
        );
    }
    assert_eq!(
        parse_image("acme/tool").unwrap().0.to_string(),
        "docker.io/acme/tool"
    );
}

#[test]
fn a_port_is_no_tag() {
    let (repository, version) = parse_image("127.0.0.1:5001/a/b").unwrap();
    assert_eq!(
        (repository.registry().as_str(), version),
        ("127.0.0.1:5001", None)
    );
    let (_, version) = parse_image("127.0.0.1:5001/a/b:1.2").unwrap();
    assert_eq!(version, Some(Version::Tag("1.2".parse().unwrap())));
}

#[test]
fn names_that_no_registry_takes_are_refused() {
    assert!(parse_image("Quay.io/Upper").is_err());
    assert!("a b".parse::<RegistryName>().is_err());
    assert!("acme".parse::<RegistryName>().is_err());
    for tag in ["", ".x", "-x", "a b", "a/b", "a\r\nb", &"x".repeat(129)] {
        assert!(tag.parse::<Tag>().is_err(), "{tag:?}");
    }
}

#[test]
fn a_digest_is_hex_of_the_right_length() {
    assert!(digest(1).parse::<Digest>().is_ok());
    for wrong in [
        "",
        "sha256:",
        "sha256:xyz",
        "md5:00",
        &digest(1)[..70],
        &digest(0xab).to_uppercase(),
    ] {
        assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
    }
    let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(Digest::of(b"").as_str(), empty);
}

#[test]
fn sha512_content_is_hashed_with_sha512() {
    let mut hasher = format!("sha512:{}", "0".repeat(128))
        .parse::<Digest>()
        .unwrap()
        .hasher();
    hasher.update(b"");
    assert!(
        hasher
            .finish()
            .as_str()
            .starts_with("sha512:cf83e1357eefb8bd")
    );
}

#[test]
fn a_hash_is_put_down_and_taken_up_again() {
    let sha512 = format!("sha512:{}", "0".repeat(128));
    let sha256 = digest(1);
    for algorithm in [sha256.as_str(), &sha512] {
        let algorithm: Digest = algorithm.parse().unwrap();
        let mut whole = algorithm.hasher();
        whole.update(b"a layer of an image");
        let mut first = algorithm.hasher();
        first.update(b"a layer of");
        let mut second = algorithm
            .hasher_at(first.length(), &first.save())
            .expect("what was saved is taken up");
        second.update(b" an image");
        assert_eq!(second.length(), whole.length());
        assert_eq!(second.finish(), whole.finish());
        assert!(algorithm.hasher_at(10, b"no state").is_none());
    }
}

#[test]
fn the_body_names_its_type_before_the_header_does() {
    let manifest = index(&[entry(1, "linux", "amd64")]);
    let again = Manifest::new(manifest.bytes.clone(), Some("text/plain")).unwrap();
    assert_eq!(again.media_type, "application/vnd.oci.image.index.v1+json");
    let untyped = Bytes::from(r#"{"schemaVersion":2,"manifests":[]}"#);
    let header = "application/vnd.docker.distribution.manifest.list.v2+json; charset=utf-8";
    let docker = Manifest::new(untyped, Some(header)).unwrap();
    assert_eq!(
        docker.media_type,
        "application/vnd.docker.distribution.manifest.list.v2+json"
    );
}

#[test]
fn schema_1_is_refused_with_a_remedy() {
    let error = Manifest::new(Bytes::from(r#"{"schemaVersion":1,"fsLayers":[]}"#), None);
    assert!(error.unwrap_err().to_string().contains("rebuild the image"));
}

#[test]
fn a_blob_named_twice_is_wanted_once() {
    let text = format!(
        r#"{{"schemaVersion":2,"config":{{"digest":"{0}","size":2}},"layers":[{{"digest":"{1}","size":3}},{{"digest":"{1}","size":3}}]}}"#,
        digest(1),
        digest(2)
    );
    match Manifest::new(Bytes::from(text), None)
        .unwrap()
        .content()
        .unwrap()
    {
        Content::Image(blobs) => assert_eq!(blobs.len(), 2),
        Content::Index(_) => panic!("not an image"),
    }
}

#[test]
fn a_subset_keeps_the_chosen_entries_as_they_were_written() {
    let amd64 = entry(1, "linux", "amd64");
    let whole = index(&[
        amd64.clone(),
        entry(2, "linux", "arm64"),
        entry(3, "windows", "amd64"),
    ]);
    let subset = whole
        .for_platforms(&["linux/amd64".parse().unwrap()])
        .unwrap();
    assert_eq!(children(&subset), [digest(1)]);
    assert!(String::from_utf8_lossy(&subset.bytes).contains(&amd64));
    assert_eq!(subset.digest, Digest::of(&subset.bytes));
}

#[test]
fn a_subset_that_drops_nothing_is_byte_identical() {
    let whole = index(&[entry(1, "linux", "amd64")]);
    let subset = whole
        .for_platforms(&["linux/amd64".parse().unwrap()])
        .unwrap();
    assert_eq!(subset.bytes, whole.bytes);
}

#[test]
fn attestations_go_with_the_image_they_attest() {
    let attests = |n: u8, of: u8| {
        entry(n, "unknown", "unknown").replace(
            r#""x":"#,
            &format!(
                r#""annotations":{{"vnd.docker.reference.digest":"{}"}},"x":"#,
                digest(of)
            ),
        )
    };
    let whole = index(&[
        entry(1, "linux", "amd64"),
        entry(2, "linux", "s390x"),
        attests(11, 1),
        attests(12, 2),
    ]);
    let subset = whole
        .for_platforms(&["linux/amd64".parse().unwrap()])
        .unwrap();
    assert_eq!(children(&subset), [digest(1), digest(11)]);
}

#[test]
fn attestations_can_be_left_out() {
    let attestation = entry(11, "unknown", "unknown").replace(
        r#""x":"#,
        &format!(
            r#""annotations":{{"vnd.docker.reference.digest":"{}"}},"x":"#,
            digest(1)
        ),
    );
    let whole = index(&[entry(1, "linux", "amd64"), attestation]);
    assert_eq!(
        children(&whole.without_attestations().unwrap()),
        [digest(1)]
    );
    let plain = index(&[entry(1, "linux", "amd64")]);
    assert_eq!(plain.without_attestations().unwrap().bytes, plain.bytes);
}

#[test]
fn an_index_without_the_wanted_platform_is_an_error() {
    let whole = index(&[entry(1, "linux", "amd64")]);
    let error = whole
        .for_platforms(&["linux/riscv64".parse().unwrap()])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "no entry of its index is for linux/riscv64"
    );
}

#[test]
fn a_platform_without_variant_asks_for_every_variant() {
    let selects = |wanted: &str, entry: &str| {
        wanted
            .parse::<Platform>()
            .unwrap()
            .selects(&entry.parse().unwrap())
    };
    assert!(selects("linux/arm", "linux/arm/v7"));
    assert!(selects("linux/arm64/v8", "linux/arm64"));
    assert!(!selects("linux/arm/v6", "linux/arm/v7"));
    assert!(!selects("linux/arm64", "linux/amd64"));
    assert!("linux".parse::<Platform>().is_err());
    assert!("linux/".parse::<Platform>().is_err());
}

/// What another implementation of the same grammar makes of a text.
fn oracle(text: &str) -> Option<(String, String, Option<String>, Option<String>)> {
    let parsed: oci_client::Reference = text.parse().ok()?;
    // It takes a first component in upper case for a host, and then for a part of the path; and
    // it takes a part of a path with a dot and an underscore for a host.
    // It takes what ends in a number and is no address for a host.
    let host = parsed.registry().split(':').next().unwrap_or_default();
    if parsed.repository().bytes().any(|b| b.is_ascii_uppercase())
        || parsed.registry().contains('_')
        || url::Host::parse(host).is_err()
    {
        return None;
    }
    let of = |part: Option<&str>| part.map(str::to_owned);
    let (tag, digest) = (of(parsed.tag()), of(parsed.digest()));
    Some((
        parsed.registry().into(),
        parsed.repository().into(),
        tag,
        digest,
    ))
}

proptest! {
    #[test]
    fn references_are_read_as_others_read_them(
        text in "((([a-z0-9.-]{1,6}(:[0-9]{1,4})?)|localhost|docker\\.io|A\\.b)/)?[a-zA-Z0-9._-]{1,6}(/[a-z0-9._-]{1,5}){0,2}(:[a-zA-Z0-9._-]{1,6})?"
    ) {
        let ours = parse_image(&text).ok().map(|(repository, version)| {
            let tag = match version {
                Some(Version::Tag(tag)) => tag.to_string(),
                _ => "latest".into(),
            };
            (repository.registry().to_string(), repository.path().to_owned(), Some(tag), None)
        });
        prop_assert_eq!(ours, oracle(&text));
    }
}

#[test]
fn null_lists_are_empty() {
    let of = |text: &str| Manifest::new(Bytes::copy_from_slice(text.as_bytes()), None).unwrap();
    let index = of(r#"{"schemaVersion":2,"manifests":null}"#);
    assert!(children(&index).is_empty());
    assert_eq!(index.media_type, IMAGE_INDEX_MEDIA_TYPE);
    let platform: Platform = "linux/amd64".parse().unwrap();
    assert_eq!(index.for_platforms(&[platform]).unwrap().bytes, index.bytes);
    for lists in ["\"layers\":null", "\"layers\":null,\"manifests\":null"] {
        let config = format!("{{\"digest\":\"{}\",\"size\":null}}", digest(1));
        let image = of(&format!("{{\"config\":{config},{lists}}}"));
        let Content::Image(blobs) = image.content().unwrap() else {
            panic!("it is an image");
        };
        assert_eq!((blobs.len(), blobs[0].size), (1, 0));
    }
}

#[test]
fn negative_sizes_are_unknown_and_others_are_refused() {
    let of = |size: &str| {
        let blob = format!("{{\"digest\":\"{}\",\"size\":{size}}}", digest(1));
        Manifest::new(Bytes::from(format!("{{\"layers\":[{blob}]}}")), None)
    };
    assert!(of("-1").is_ok());
    for size in ["\"7\"", "1.5", "1e300", "18446744073709551615"] {
        assert!(of(size).is_err(), "{size}");
    }
}
