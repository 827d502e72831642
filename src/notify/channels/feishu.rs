//! Feishu and Lark: a robot in a group, which takes cards and may want them signed.

use secrecy::SecretString;
use serde_json::json;

use crate::{
    config::SecretUrl,
    locales::Language,
    notify::{
        Error,
        chat::{self, Dialect},
        http::{Post, ServiceResponse, json_size},
        sign,
    },
    status::{Document, Severity, Style},
};

/// Most bytes of a request's body: cards may have 30 KB, and robots of one's own take 20.
const LIMIT: usize = 20_000;
/// Of these, what the JSON around title and text takes.
const AROUND: usize = 500;
const DIALECT: Dialect = Dialect {
    span,
    line_end: "\n",
    size: json_size,
    limit: LIMIT - AROUND,
    line_limit: LIMIT - AROUND,
};
/// Its code for too many messages, at full and half hours most of all.
const TOO_OFTEN: i64 = 11_232;

/// The requests that send a document.
pub(crate) fn posts(
    url: &SecretUrl,
    secret: Option<&SecretString>,
    document: &Document,
    language: Language,
    seconds: i64,
) -> Vec<Post> {
    let template = match document.mood() {
        Severity::Good => "green",
        Severity::Warning => "orange",
        Severity::Bad => "red",
    };
    let parts = chat::parts(document, &DIALECT, language).into_iter();
    parts
        .map(|part| {
            let title = json!({ "tag": "plain_text", "content": part.title });
            let content = match part.lines.is_empty() {
                // A card has something below its title.
                true => escape(&part.title),
                false => part.lines.join(DIALECT.line_end),
            };
            let card = json!({
                "config": { "wide_screen_mode": true },
                "header": { "title": title, "template": template },
                "elements": [{ "tag": "markdown", "content": content }],
            });
            let mut body = json!({ "msg_type": "interactive", "card": card });
            if let Some(secret) = secret {
                body["timestamp"] = seconds.to_string().into();
                body["sign"] = sign::feishu(secret, seconds).into();
            }
            Post::json(url.expose().clone(), &body, judge)
        })
        .collect()
}

fn span(style: Style, text: &str) -> String {
    match style {
        // Cards know no code; a name is a name all the same.
        Style::Plain | Style::Code => escape(text),
        Style::Bold => format!("**{}**", escape(text)),
        Style::Link => format!("[{text}]({text})"),
    }
}

/// Text in which nothing has a meaning of its own: by entities, as cards want it.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' | '<' | '>' | '*' | '~' | '_' | '`' | '[' | ']' | '\\' => {
                escaped.push_str(&format!("&#{};", u32::from(c)));
            }
            c => escaped.push(c),
        }
    }
    escaped
}

fn judge(answer: &ServiceResponse) -> Result<(), Error> {
    let json = answer.json().unwrap_or_default();
    // Old robots answer `StatusCode`, new ones `code`, and some both.
    let codes = || ["code", "StatusCode"].iter().map(|key| json[key].as_i64());
    let Some(code) = codes().flatten().find(|code| *code != 0) else {
        answer.check_status("check its `url`")?;
        return match codes().any(|code| code == Some(0)) {
            true => Ok(()),
            false => Err(answer.strange()),
        };
    };
    let said = json["msg"].as_str().or(json["StatusMessage"].as_str());
    let said = format!(
        "code {code}: {}",
        transship_text::one_line(said.unwrap_or_default())
    );
    if code == TOO_OFTEN || said.contains("too many") {
        return Err(Error::Throttled {
            said,
            retry_after: None,
        });
    }
    let remedy = match code {
        19_021 => {
            "add the robot's `secret`, or copy it again; and check this machine's clock: \
             signatures hold for an hour"
        }
        19_022 => "add this machine's address to the robot's security settings",
        19_024 => "add the keyword \"transship\" to the robot's security settings",
        19_001 => "copy the robot's webhook address again",
        _ => "look the code up in the manual of Feishu's robots",
    };
    Err(Error::Refused { said, remedy })
}
