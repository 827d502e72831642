use super::*;

fn secret() -> SecretString {
    "SECtest".to_owned().into()
}

#[test]
fn dingtalk_signature_matches_vector() {
    assert_eq!(
        dingtalk(&secret(), 1_700_000_000_000),
        "aZLLrriXgn05YbwaGR7knYsLeJADjr9NwLaNNKpxh4g="
    );
}

#[test]
fn feishu_signature_matches_vector() {
    assert_eq!(
        feishu(&secret(), 1_700_000_000),
        "G7XpBpG8NgG02fJOAhX6FRAObIljmFoxVReo8I62pEk="
    );
}

#[test]
fn webhook_signature_matches_openssl() {
    assert_eq!(
        webhook(&secret(), 1_700_000_000, r#"{"a":1}"#),
        "fcb51ec4942f871bf6bb7039d37a5ac7dd46311afc0620d07c5c84f8958cb4d1"
    );
}

#[test]
fn webhook_signature_covers_topic() {
    let sign = |topic| webhook_with_topic(&secret(), 1_700_000_000, topic, r#"{"a":1}"#);
    assert_eq!(
        sign("lag"),
        "83b93bcdad6959065769ec5a65d180ea9db4c08a6e5f094c8bd5fe7ef9c314fd"
    );
    assert_ne!(sign("lag"), sign("auth"));
}
