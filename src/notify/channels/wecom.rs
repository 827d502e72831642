//! WeCom: a robot in a group, which takes a little Markdown and at most 4096 bytes of it.

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

const DIALECT: Dialect = Dialect {
    span,
    line_end: "\n",
    size: str::len,
    limit: 4096,
    line_limit: 4096,
};
/// Its code for too many messages in a minute.
const TOO_OFTEN: i64 = 45009;

/// The requests that send a document.
pub(crate) fn posts(url: &SecretUrl, document: &Document, language: Language) -> Vec<Post> {
    let parts = chat::parts(document, &DIALECT, language).into_iter();
    let contents = parts.map(|part| {
        let mut lines = vec![span(Style::Bold, &part.title)];
        lines.extend(part.lines);
        lines.join(DIALECT.line_end)
    });
    contents
        .map(|content| {
            let body = json!({ "msgtype": "markdown", "markdown": { "content": content } });
            Post::json(url.expose().clone(), &body, judge)
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

/// Text without what would become markup. There is no escape, so that look-alikes stand in: a `<`
/// could mention a member, and the error message of a registry must not.
pub(crate) fn defuse(text: &str) -> String {
    text.replace('<', "＜")
        .replace('*', "∗")
        .replace('`', "'")
        .replace("](", "] (")
}

fn judge(answer: &ServiceResponse) -> Result<(), Error> {
    check_errcode(answer, &[TOO_OFTEN], |code| match code {
        93000 => "copy the robot's webhook address again: its key is unknown",
        40058 => "report it: transship wrote what WeCom does not take",
        _ => "look the code up in WeCom's list of global error codes",
    })
}

/// Checks an answer whose `errcode` has the result, whatever its status.
pub(crate) fn check_errcode(
    answer: &ServiceResponse,
    too_often: &[i64],
    remedy: fn(i64) -> &'static str,
) -> Result<(), Error> {
    let Some(json) = answer.json() else {
        answer.check_status("check its `url`")?;
        return Err(answer.strange());
    };
    let said = transship_text::one_line(json["errmsg"].as_str().unwrap_or_default());
    match json["errcode"].as_i64() {
        Some(0) => Ok(()),
        Some(-1) => Err(Error::Failed(format!("errcode -1: {said}"))),
        Some(code) if too_often.contains(&code) => Err(Error::Throttled {
            said: format!("errcode {code}: {said}"),
            retry_after: None,
        }),
        Some(code) => Err(Error::Refused {
            said: format!("errcode {code}: {said}"),
            remedy: remedy(code),
        }),
        None => {
            answer.check_status("check its `url`")?;
            Err(answer.strange())
        }
    }
}
