use reqwest::{StatusCode, header::HeaderMap};

use crate::vendor::*;

/// An answer with this body.
pub(crate) fn answer(body: &str) -> BufferedResponse {
    BufferedResponse {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: body.to_owned().into(),
    }
}

#[test]
fn an_interface_that_rests_is_left_alone() {
    let api = BulkApi::default();
    assert!(!api.is_resting());
    api.rest();
    assert!(api.is_resting());
}

#[test]
fn known_vendor_limits_apply_by_host() {
    let usual = |name: &str| Vendor::of(&name.parse().unwrap()).requests_per_second();
    assert_eq!(usual("registry.cn-hangzhou.aliyuncs.com"), Some(15.0));
    assert_eq!(usual("registry-vpc.cn-hangzhou.aliyuncs.com"), Some(15.0));
    assert_eq!(
        usual("acme-registry.cn-beijing.cr.aliyuncs.com"),
        Some(15.0)
    );
    assert_eq!(usual("acme.tencentcloudcr.com"), Some(10.0));
    assert_eq!(usual("ccr.ccs.tencentyun.com"), Some(10.0));
    assert_eq!(usual("public.ecr.aws"), Some(5.0));
    assert_eq!(usual("oss.aliyuncs.com"), None);
    assert_eq!(usual("docker.io"), None);
}
