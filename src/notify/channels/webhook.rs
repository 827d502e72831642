//! Any receiver of JSON: posts the report or alarm as it is, signed if there is a secret.
//!
//! `X-Transship-Timestamp` has the time in seconds, `X-Transship-Topic` the topic. Two headers sign
//! them, each as `sha256=HEX` with the HMAC-SHA256 under the secret:
//!
//! - `X-Transship-Signature-V2` signs `TIMESTAMP.TOPIC.BODY`. New receivers check this one.
//! - `X-Transship-Signature` signs `TIMESTAMP.BODY`, for receivers that exist. It leaves the topic
//!   open: whoever records a message can send it again under another topic.
//!
//! A receiver computes the HMAC over the body as it came, and refuses timestamps that are minutes
//! old, so that a recorded message cannot be replayed later.

use secrecy::SecretString;

use crate::{
    config::SecretUrl,
    notify::{
        Error, Message,
        http::{Post, ServiceResponse},
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
        let topic = message.topic.as_str();
        let old = sign::webhook(secret, seconds, &post.body);
        let new = sign::webhook_with_topic(secret, seconds, topic, &post.body);
        post.headers.extend([
            ("x-transship-signature", format!("sha256={old}")),
            ("x-transship-signature-v2", format!("sha256={new}")),
        ]);
    }
    post
}

fn judge(answer: &ServiceResponse) -> Result<(), Error> {
    answer.check_status("check its `url` and `secret`, and the log of the receiver")
}
