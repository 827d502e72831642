use reqwest::{StatusCode, header::HeaderMap};

use crate::registry::vendor::*;

/// An answer with this body.
pub(crate) fn answer(body: &str) -> Answer {
    Answer {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: body.to_owned().into(),
    }
}

#[test]
fn an_interface_that_rests_is_left_alone() {
    let api = BulkApi::default();
    assert!(!api.rests());
    api.rest();
    assert!(api.rests());
}
