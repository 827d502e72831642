//! Signatures: a message comes from a sender who knows the secret.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::hmac;
use secrecy::{ExposeSecret as _, SecretString};

/// DingTalk's: the time in milliseconds and the secret, under the secret.
pub(crate) fn dingtalk(secret: &SecretString, milliseconds: i64) -> String {
    let secret = secret.expose_secret();
    let message = format!("{milliseconds}\n{secret}");
    STANDARD.encode(hmac(secret.as_bytes(), message.as_bytes()))
}

/// Feishu's: nothing, under the time in seconds and the secret.
pub(crate) fn feishu(secret: &SecretString, seconds: i64) -> String {
    let key = format!("{seconds}\n{}", secret.expose_secret());
    STANDARD.encode(hmac(key.as_bytes(), b""))
}

/// Our own: the time in seconds, a dot and the body, under the secret; in hexadecimal.
pub(crate) fn webhook(secret: &SecretString, seconds: i64, body: &str) -> String {
    hex(secret, &format!("{seconds}.{body}"))
}

/// Our own with the topic: the time in seconds, the topic and the body, parted by dots.
pub(crate) fn webhook_with_topic(
    secret: &SecretString,
    seconds: i64,
    topic: &str,
    body: &str,
) -> String {
    hex(secret, &format!("{seconds}.{topic}.{body}"))
}

fn hex(secret: &SecretString, message: &str) -> String {
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
mod tests;
