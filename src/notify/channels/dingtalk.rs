//! DingTalk: a robot in a group, which takes some Markdown and may want it signed.

use secrecy::SecretString;
use serde_json::json;

use crate::{
    config::SecretUrl,
    locales::Language,
    notify::{
        Error,
        channels::wecom::{check_errcode, defuse},
        chat::{self, Dialect},
        http::{Post, ServiceResponse, json_size},
        sign,
    },
    status::{Document, Style},
};

/// Most bytes of a request's body.
const LIMIT: usize = 20_000;
/// Of these, what the JSON around title and text takes, and the title, which is in it twice.
const AROUND: usize = 1_000;
const DIALECT: Dialect = Dialect {
    span,
    // Two blanks: a single line end would be none.
    line_end: "  \n",
    size: json_size,
    limit: LIMIT - AROUND,
    line_limit: LIMIT - AROUND,
};
/// Its codes for too many messages in a minute.
const TOO_OFTEN: [i64; 2] = [130_101, 410_100];

/// The requests that send a document.
pub(crate) fn posts(
    url: &SecretUrl,
    secret: Option<&SecretString>,
    document: &Document,
    language: Language,
    milliseconds: i64,
) -> Vec<Post> {
    let mut url = url.expose().clone();
    if let Some(secret) = secret {
        url.query_pairs_mut()
            .append_pair("timestamp", &milliseconds.to_string())
            .append_pair("sign", &sign::dingtalk(secret, milliseconds));
    }
    let parts = chat::parts(document, &DIALECT, language).into_iter();
    parts
        .map(|part| {
            let mut lines = vec![span(Style::Bold, &part.title)];
            lines.extend(part.lines);
            let text = lines.join(DIALECT.line_end);
            let markdown = json!({ "title": part.title, "text": text });
            let body = json!({ "msgtype": "markdown", "markdown": markdown });
            Post::json(url.clone(), &body, judge)
        })
        .collect()
}

fn span(style: Style, text: &str) -> String {
    match style {
        Style::Plain => defuse(text),
        Style::Bold => format!("**{}**", defuse(text)),
        Style::Code => format!("`{}`", text.replace('`', "'")),
        Style::Link => format!("[{text}]({text})"),
    }
}

fn judge(answer: &ServiceResponse) -> Result<(), Error> {
    check_errcode(answer, &TOO_OFTEN, |code| match code {
        310_000 => {
            "look at the robot's security settings: add its `secret`, or the keyword \"transship\", \
             or this machine's address; and check this machine's clock"
        }
        300_001 | 400_101 | 400_102 | 40_014 => {
            "copy the robot's webhook address again: its access_token is unknown"
        }
        _ => "look the code up in DingTalk's list of error codes for robots",
    })
}
