use crate::content::blob_pull::*;

fn pass(parts: &[&'static str], blob: &Descriptor) -> (Vec<Bytes>, Option<Kind>) {
    let mut guard = DigestGuard::new(blob, blob.digest.hasher());
    let mut passed = Vec::new();
    for part in parts {
        match guard.take(Bytes::from_static(part.as_bytes())) {
            Ok(frame) => passed.extend(frame),
            Err(kind) => return (passed, Some(kind)),
        }
    }
    match guard.finish() {
        Ok(frame) => passed.extend(frame),
        Err(kind) => return (passed, Some(kind)),
    }
    (passed, None)
}

fn descriptor(content: &str) -> Descriptor {
    Descriptor {
        media_type: String::new(),
        digest: Digest::of(content.as_bytes()),
        size: content.len() as u64,
        platform: None,
        artifact_type: None,
    }
}

#[test]
fn right_bytes_pass_whole() {
    let (passed, error) = pass(&["ab", "c", "def"], &descriptor("abcdef"));
    assert!(error.is_none());
    assert_eq!(passed.concat(), b"abcdef");
    assert!(pass(&[], &descriptor("")).1.is_none());
}

#[test]
fn the_last_frame_of_wrong_bytes_is_withheld() {
    let (passed, error) = pass(&["ab", "c", "deX"], &descriptor("abcdef"));
    assert_eq!(passed.concat(), b"abc");
    assert!(matches!(error, Some(Kind::Mismatch { .. })));
    let (passed, _) = pass(&["abc", "deX", ""], &descriptor("abcdef"));
    assert_eq!(passed.concat(), b"abc");
}

#[test]
fn a_body_that_ends_early_or_never_ends_is_an_error() {
    let short = pass(&["ab"], &descriptor("abcdef"));
    assert_eq!(short.0.concat(), b"ab");
    assert!(matches!(
        short.1,
        Some(Kind::Length {
            expected: 6,
            found: 2
        })
    ));
    let long = pass(&["abcde", "fg"], &descriptor("abcdef"));
    assert_eq!(long.0.concat(), b"abcde");
    assert!(matches!(
        long.1,
        Some(Kind::Length {
            expected: 6,
            found: 7
        })
    ));
}
