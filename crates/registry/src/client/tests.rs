use crate::Operation;
use crate::client::*;

fn refusal(status: u16, code: &str, message: &str) -> Error {
    let body = format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#);
    let status = StatusCode::from_u16(status).unwrap();
    let name = "registry.example".parse().unwrap();
    let kind = failure(status, &HeaderMap::new(), body.as_bytes());
    Error::new(Operation::PullManifest, "a:1", &name, kind)
}

#[test]
fn transient_errors_differ_from_final_ones() {
    for (status, code, message, class, is_transient) in [
        (429, "TOOMANYREQUESTS", "Rate exceeded", "throttled", true),
        (
            429,
            "TOOMANYREQUESTS",
            "retry-after: 880.092µs, allowed: 44000/minute",
            "throttled",
            true,
        ),
        (429, "TOOMANYREQUESTS", "retry after 5h", "throttled", false),
        (
            429,
            "TOOMANYREQUESTS",
            "Data limit exceeded",
            "quota",
            false,
        ),
        (
            429,
            "TOOMANYREQUESTS",
            "You have reached your unauthenticated pull rate limit.",
            "quota",
            false,
        ),
        (
            403,
            "DENIED",
            "You have exceeded a secondary rate limit.",
            "throttled",
            true,
        ),
        (
            403,
            "DENIED",
            "requested access to the resource is denied",
            "denied",
            false,
        ),
    ] {
        let error = refusal(status, code, message);
        assert_eq!(
            (error.class().as_str(), error.is_transient()),
            (class, is_transient),
            "{message}"
        );
    }
}
