//! Telegram: a bot that writes into a chat, in a little HTML.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use url::Url;

use crate::{
    locales::Language,
    notify::{
        Error,
        chat::{self, Dialect},
        http::{Post, ServiceResponse},
    },
    status::{Document, Style},
};

const DIALECT: Dialect = Dialect {
    span,
    line_end: "\n",
    // What counts is the text that is left once the markup is read: this is never less.
    size: |text| text.encode_utf16().count(),
    limit: 4096,
    line_limit: 4096,
};

/// The requests that send a document.
pub(crate) fn posts(
    api: &Url,
    token: &SecretString,
    chat: &str,
    document: &Document,
    language: Language,
) -> Result<Vec<Post>, Error> {
    let base = api.as_str().trim_end_matches('/');
    let url = format!("{base}/bot{}/sendMessage", token.expose_secret());
    // The error does not contain the URL, which is a secret.
    let url = Url::parse(&url).map_err(|error| Error::Unusable(error.to_string()))?;
    let parts = chat::parts(document, &DIALECT, language).into_iter();
    let posts = parts.map(|part| {
        let mut lines = vec![span(Style::Bold, &part.title)];
        lines.extend(part.lines);
        let body = json!({
            "chat_id": chat,
            "text": lines.join(DIALECT.line_end),
            "parse_mode": "HTML",
            "link_preview_options": { "is_disabled": true },
        });
        Post::json(url.clone(), &body, judge)
    });
    Ok(posts.collect())
}

fn span(style: Style, text: &str) -> String {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    match style {
        // Telegram makes a link of a URL.
        Style::Plain | Style::Link => text,
        Style::Bold => format!("<b>{text}</b>"),
        Style::Code => format!("<code>{text}</code>"),
    }
}

fn judge(answer: &ServiceResponse) -> Result<(), Error> {
    let json = answer.json().unwrap_or_default();
    let code = match json["ok"].as_bool() {
        Some(true) => return Ok(()),
        Some(false) => json["error_code"].as_u64().unwrap_or_default(),
        None => {
            answer.check_status("check its `url`: this is no Bot API")?;
            return Err(answer.strange());
        }
    };
    let said = transship_text::one_line(json["description"].as_str().unwrap_or_default());
    let wait = json["parameters"]["retry_after"].as_u64();
    Err(match code {
        429 => Error::Throttled {
            said,
            retry_after: wait.map(Duration::from_secs),
        },
        500.. => Error::Failed(said),
        401 | 404 => Error::Refused {
            said,
            remedy: "copy the bot's `token` again from @BotFather",
        },
        403 => Error::Refused {
            said,
            remedy: "let the bot into the chat, and let it write there",
        },
        _ => Error::Refused {
            said,
            remedy: "check `chat`: its number (groups have a minus), or \"@name\"; the bot has to \
                     be in it",
        },
    })
}
