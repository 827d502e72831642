use proptest::prelude::*;

use crate::upload::session::*;

const SIZE: u64 = 100;

fn fresh(digest: &Digest) -> UploadSession {
    let location = Url::parse("http://r.example.com/v2/a/blobs/uploads/1").unwrap();
    UploadSession::new(&"r.example.com/a".parse().unwrap(), digest, location)
}

fn upload(acknowledged: usize, names_next_byte: Option<bool>) -> UploadSession {
    let mut upload = fresh(&Digest::of(b""));
    upload.acknowledged.update(&vec![0; acknowledged]);
    upload.names_next_byte = names_next_byte;
    upload
}

#[track_caller]
fn assert_surplus(mut upload: UploadSession, named: u64, expected: Option<u64>) {
    upload.is_offset_unknown = true;
    let found = upload.apply_offset(named, SIZE).map(|()| upload.surplus);
    assert_eq!(found, expected);
    assert_eq!(upload.is_offset_unknown, expected.is_none());
}

#[test]
fn session_resumes_at_registry_offset() {
    let upload = || upload(10, Some(false));
    assert_surplus(upload(), 9, Some(0));
    assert_surplus(upload(), 10, Some(1));
    assert_surplus(upload(), 29, Some(20));
    assert_surplus(upload(), 99, Some(90));
}

#[test]
fn a_session_that_lost_what_was_acknowledged_is_no_use() {
    let upload = || upload(10, Some(false));
    assert_surplus(upload(), 8, None);
    assert_surplus(upload(), 0, None);
    assert_surplus(upload(), 100, None);
    assert_surplus(upload(), u64::MAX, None);
}

#[test]
fn a_registry_may_name_the_byte_that_comes_next() {
    let quay = || upload(10, Some(true));
    assert_surplus(quay(), 9, None);
    assert_surplus(quay(), 10, Some(0));
    assert_surplus(quay(), 30, Some(20));
    assert_surplus(quay(), 100, Some(90));
}

#[test]
fn session_with_unknown_offset_restarts() {
    assert_surplus(upload(0, None), 0, None);
    assert_surplus(upload(0, None), 9, None);
    assert_surplus(upload(10, None), 9, None);
    assert_surplus(upload(10, None), 10, None);
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

/// What happens to an upload, and how many bytes of a part arrive by then.
#[derive(Clone, Copy, Debug)]
enum Event {
    Acknowledged(usize),
    /// The answer is lost, or the connection; what arrived is kept.
    BrokeKept(usize),
    /// What arrived is dropped.
    BrokeDropped,
    /// The session is gone.
    Lost,
    /// The process is killed, and another takes up what was saved last.
    Killed(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (1_usize..40).prop_map(Event::Acknowledged),
        (0_usize..40).prop_map(Event::BrokeKept),
        Just(Event::BrokeDropped),
        Just(Event::Lost),
        (0_usize..40).prop_map(Event::Killed),
    ]
}

/// A registry's session, and ours.
struct Both<'a> {
    blob: &'a [u8],
    digest: Digest,
    held: Vec<u8>,
    upload: UploadSession,
    saved: Option<SavedUpload>,
    names_next_byte: bool,
}

impl Both<'_> {
    fn named(&self) -> u64 {
        let held = self.held.len() as u64;
        match self.names_next_byte {
            true => held,
            false => held.saturating_sub(1),
        }
    }

    /// So many bytes of the next part arrive.
    fn arrive(&mut self, length: usize) {
        let from = usize::try_from(self.upload.acknowledged.length()).unwrap();
        let until = (from + length).min(self.blob.len());
        self.held.extend_from_slice(&self.blob[from..until]);
    }

    fn acknowledge(&mut self, length: usize) {
        self.arrive(length);
        let from = usize::try_from(self.upload.acknowledged.length()).unwrap();
        self.upload
            .acknowledged
            .update(&self.blob[from..self.held.len()]);
        self.upload.names_next_byte = self.upload.counts(self.named());
        self.saved = Some(self.upload.save());
    }

    /// Asks how far the session is, as after a break.
    fn resume(&mut self) {
        let named = self.named();
        if self
            .upload
            .apply_offset(named, self.blob.len() as u64)
            .is_none()
        {
            self.begin();
            return;
        }
        let from = usize::try_from(self.upload.acknowledged.length()).unwrap();
        let surplus = usize::try_from(std::mem::take(&mut self.upload.surplus)).unwrap();
        self.upload
            .acknowledged
            .update(&self.blob[from..from + surplus]);
    }

    fn begin(&mut self) {
        self.upload = fresh(&self.digest);
        (self.held, self.saved) = (Vec::new(), None);
    }

    fn meet(&mut self, event: Event) {
        match event {
            Event::Acknowledged(length) if self.held.len() < self.blob.len() => {
                self.acknowledge(length);
            }
            Event::Acknowledged(_) => {}
            Event::BrokeKept(length) => {
                self.arrive(length);
                self.resume();
            }
            Event::BrokeDropped => self.resume(),
            Event::Lost => self.begin(),
            Event::Killed(length) => {
                self.arrive(length);
                let restored = self.saved.as_ref().map(|saved| UploadSession {
                    acknowledged: Box::new(
                        self.digest
                            .hasher_at(saved.offset, &saved.hash_state)
                            .unwrap(),
                    ),
                    names_next_byte: saved.names_next_byte,
                    ..fresh(&self.digest)
                });
                match restored {
                    Some(upload) => {
                        self.upload = upload;
                        self.resume();
                    }
                    None => self.begin(),
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn whatever_breaks_what_is_held_in_the_end_is_the_blob(
        blob in prop::collection::vec(any::<u8>(), 1..300),
        events in prop::collection::vec(event(), 0..40),
        names_next_byte: bool,
    ) {
        let digest = Digest::of(&blob);
        let mut both = Both {
            blob: &blob,
            upload: fresh(&digest),
            digest,
            held: Vec::new(),
            saved: None,
            names_next_byte,
        };
        for event in events {
            both.meet(event);
            let known = both.upload.acknowledged.length();
            prop_assert_eq!(known, both.held.len() as u64);
        }
        if both.held.len() < blob.len() {
            both.acknowledge(blob.len());
        }
        prop_assert_eq!(&both.held, &blob);
        prop_assert_eq!(both.upload.acknowledged.finish(), both.digest);
    }
}

#[test]
fn saved_session_is_behind_a_later_state_of_itself() {
    let saved = |location: &str, offset| SavedUpload {
        location: location.into(),
        offset,
        hash_state: Vec::new(),
        names_next_byte: None,
    };
    let at = |offset| saved("http://r.example.com/v2/a/blobs/uploads/1?_state=a", offset);
    let later = saved("http://r.example.com/v2/a/blobs/uploads/1?_state=b", 20);
    assert!(at(10).is_behind(&later));
    assert!(!at(20).is_behind(&later));
    let other = saved("http://r.example.com/v2/a/blobs/uploads/2?_state=b", 20);
    assert!(!at(10).is_behind(&other));
}
