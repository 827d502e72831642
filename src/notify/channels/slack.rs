//! Slack: an incoming webhook, which takes blocks of mrkdwn.

use serde_json::json;

use crate::{
    config::SecretUrl,
    locales::Language,
    notify::{
        Error,
        chat::{self, Dialect},
        http::{Post, ServiceResponse},
    },
    status::{Document, Style},
};

/// Most characters of a block's text.
const BLOCK_LENGTH: usize = 3_000;
const DIALECT: Dialect = Dialect {
    span,
    line_end: "\n",
    size: |text| text.encode_utf16().count(),
    // All blocks together have a limit, too, which no manual documents: about 13 000 characters. That
    // is seven blocks at most, and so far from fifty.
    limit: 10_000,
    line_limit: BLOCK_LENGTH - 1,
};

/// The requests that send a document.
pub(crate) fn posts(url: &SecretUrl, document: &Document, language: Language) -> Vec<Post> {
    let parts = chat::parts(document, &DIALECT, language).into_iter();
    parts
        .map(|part| {
            let title = json!({ "type": "plain_text", "text": part.title });
            let mut blocks = vec![json!({ "type": "header", "text": title })];
            let texts = DIALECT.group(part.lines, BLOCK_LENGTH).into_iter();
            let texts = texts.map(|lines| lines.join(DIALECT.line_end));
            // An empty text is refused.
            for text in texts.filter(|text| !text.is_empty()) {
                // Verbatim: what looks like a name or a channel does not become a mention.
                let text = json!({ "type": "mrkdwn", "text": text, "verbatim": true });
                blocks.push(json!({ "type": "section", "text": text }));
            }
            let body = json!({ "text": escape(&part.title), "blocks": blocks });
            Post::json(url.expose().clone(), &body, judge)
        })
        .collect()
}

fn span(style: Style, text: &str) -> String {
    match style {
        Style::Plain => plain(text),
        Style::Bold => format!("*{}*", plain(text)),
        Style::Code => format!("`{}`", escape(text).replace('`', "'")),
        Style::Link => format!("<{}>", escape(text)),
    }
}

/// Only three characters can be escaped; for those that set style, look-alikes stand in.
fn plain(text: &str) -> String {
    escape(text).replace('*', "∗").replace('`', "'")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn judge(answer: &ServiceResponse) -> Result<(), Error> {
    let said = answer.words();
    answer.check_status(match said.as_str() {
        "invalid_blocks" | "invalid_payload" => {
            "report it: transship wrote what Slack does not take"
        }
        "channel_is_archived" => "make a webhook for a channel that is in use",
        "action_prohibited" | "posting_to_general_channel_denied" => {
            "let the workspace's administrator allow the webhook to post"
        }
        _ => "copy the webhook's URL again, or make another: this one is unknown or revoked",
    })
}
