use super::*;

const SIZE: u64 = 100;

fn upload(acknowledged: usize) -> Upload {
    let digest = Digest::of(b"");
    let location = Url::parse("http://r.example.com/v2/a/blobs/uploads/1").unwrap();
    let repository = "r.example.com/a".parse().unwrap();
    let mut upload = Upload::new(&repository, &digest, location);
    upload.acknowledged.update(&vec![0; acknowledged]);
    upload
}

#[track_caller]
fn assert_surplus(mut upload: Upload, last: u64, expected: Option<u64>) {
    upload.is_doubtful = true;
    let found = upload.found(last, SIZE).map(|()| upload.surplus);
    assert_eq!(found, expected);
    assert_eq!(upload.is_doubtful, expected.is_none());
}

#[test]
fn a_session_goes_on_after_the_last_byte_that_the_registry_has() {
    assert_surplus(upload(0), 0, Some(0));
    assert_surplus(upload(0), 9, Some(10));
    assert_surplus(upload(10), 9, Some(0));
    assert_surplus(upload(10), 29, Some(20));
    assert_surplus(upload(10), 99, Some(90));
}

#[test]
fn a_session_that_lost_what_was_acknowledged_is_no_use() {
    assert_surplus(upload(10), 8, None);
    assert_surplus(upload(10), 0, None);
    assert_surplus(upload(10), 100, None);
    assert_surplus(upload(10), u64::MAX, None);
}

#[test]
fn a_registry_may_name_the_byte_that_comes_next() {
    assert_surplus(upload(10), 10, Some(0));
    let quay = Upload {
        names_next_byte: true,
        ..upload(10)
    };
    assert_surplus(quay.clone(), 30, Some(20));
    assert_surplus(quay, 100, Some(90));
}

#[test]
fn the_last_byte_is_read_with_and_without_a_unit() {
    let read = |text: &'static str| {
        let headers = HeaderMap::from_iter([(RANGE, HeaderValue::from_static(text))]);
        last_byte(&headers)
    };
    assert_eq!(read("0-1023"), Some(1023));
    assert_eq!(read("bytes=0-1023"), Some(1023));
    for odd in ["", "1023", "0-", "0-x", "0--1"] {
        assert_eq!(read(odd), None, "{odd}");
    }
}
