//! Signatures: that a message comes from whoever knows the secret.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::hmac;
use secrecy::{ExposeSecret as _, SecretString};

/// DingTalk's: the time in milliseconds and the secret, under the secret.
pub(super) fn dingtalk(secret: &SecretString, milliseconds: i64) -> String {
    let secret = secret.expose_secret();
    let message = format!("{milliseconds}\n{secret}");
    STANDARD.encode(hmac(secret.as_bytes(), message.as_bytes()))
}

/// Feishu's: nothing, under the time in seconds and the secret.
pub(super) fn feishu(secret: &SecretString, seconds: i64) -> String {
    let key = format!("{seconds}\n{}", secret.expose_secret());
    STANDARD.encode(hmac(key.as_bytes(), b""))
}

/// Our own: the time in seconds, a dot and the body, under the secret; in hexadecimal.
pub(super) fn webhook(secret: &SecretString, seconds: i64, body: &str) -> String {
    let message = format!("{seconds}.{body}");
    let tag = hmac(secret.expose_secret().as_bytes(), message.as_bytes());
    tag.as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn hmac(key: &[u8], message: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> SecretString {
        "SECtest".to_owned().into()
    }

    #[test]
    fn dingtalk_s_signature_is_the_one_of_its_vector() {
        assert_eq!(
            dingtalk(&secret(), 1_700_000_000_000),
            "aZLLrriXgn05YbwaGR7knYsLeJADjr9NwLaNNKpxh4g="
        );
    }

    #[test]
    fn feishu_s_signature_is_the_one_of_its_vector() {
        assert_eq!(
            feishu(&secret(), 1_700_000_000),
            "G7XpBpG8NgG02fJOAhX6FRAObIljmFoxVReo8I62pEk="
        );
    }

    #[test]
    fn a_webhook_s_signature_is_what_openssl_says_of_time_dot_body() {
        assert_eq!(
            webhook(&secret(), 1_700_000_000, r#"{"a":1}"#),
            "fcb51ec4942f871bf6bb7039d37a5ac7dd46311afc0620d07c5c84f8958cb4d1"
        );
    }
}
