use super::*;

#[test]
fn ranges_are_read_as_the_rfc_says() {
    let part = |first, last| ByteRange::Part { first, last };
    let table = [
        (None, ByteRange::Whole),
        (Some("bytes=500-1499"), part(500, 1499)),
        (Some("bytes=500-"), part(500, 1999)),
        (Some("bytes=0-"), part(0, 1999)),
        (Some("bytes=-500"), part(1500, 1999)),
        (Some("bytes=-5000"), part(0, 1999)),
        (Some("bytes=1500-9999"), part(1500, 1999)),
        (Some("bytes=1999-1999"), part(1999, 1999)),
        (Some("bytes=2000-"), ByteRange::Unsatisfiable),
        (
            Some("bytes=99999999999999999999999-"),
            ByteRange::Unsatisfiable,
        ),
        (Some("bytes=-0"), ByteRange::Unsatisfiable),
        // None of these is a range.
        (Some("bytes=500-0"), ByteRange::Whole),
        (Some("bytes=0-1,3-4"), ByteRange::Whole),
        (Some("bytes=a-b"), ByteRange::Whole),
        (Some("lines=0-1"), ByteRange::Whole),
        (Some("bytes=-"), ByteRange::Whole),
    ];
    for (header, expected) in table {
        assert_eq!(ByteRange::parse(header, 2000), expected, "{header:?}");
    }
    assert_eq!(
        ByteRange::parse(Some("bytes=0-"), 0),
        ByteRange::Unsatisfiable
    );
}
