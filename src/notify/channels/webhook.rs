//! Anything that takes JSON: the report or alarm as it is, signed if there is a secret.
//!
//! `X-Transship-Timestamp` has the time in seconds, and `X-Transship-Signature` is
//! `sha256=HEX`, the HMAC-SHA256 of timestamp, dot and body under the secret. A receiver computes
//! it anew over the body as it came, and refuses timestamps that are minutes old: a message that
//! somebody recorded cannot be played again later. `X-Transship-Topic` has the topic.

use secrecy::SecretString;

use crate::{
    config::SecretUrl,
    notify::{
        Error, Message,
        http::{Answer, Post},
        sign,
    },
};

/// The request that brings a message.
pub(crate) fn post(
    url: &SecretUrl,
    secret: Option<&SecretString>,
    message: &Message,
    seconds: i64,
) -> Post {
    let mut post = Post::json(url.expose().clone(), &message.json, judge);
    post.headers = vec![
        ("x-transship-topic", message.topic.as_str().to_owned()),
        ("x-transship-timestamp", seconds.to_string()),
    ];
    if let Some(secret) = secret {
        let signature = sign::webhook(secret, seconds, &post.body);
        let signature = format!("sha256={signature}");
        post.headers.push(("x-transship-signature", signature));
    }
    post
}

fn judge(answer: &Answer) -> Result<(), Error> {
    answer.check_status("check its `url` and `secret`, and the log of the receiver")
}
