//! The services where people chat.

use super::{server::Server, *};

const GOOD: &str = r#"{"errcode":0,"errmsg":"ok"}"#;
const FEISHU_GOOD: &str = r#"{"StatusCode":0,"StatusMessage":"success","code":0,"msg":"success"}"#;

fn channel(kind: &str, url: &str, keys: &str) -> Notifier {
    notifier(&format!(
        "[notify.ops]\nkind = \"{kind}\"\nurl = \"{url}\"\n{keys}\n"
    ))
}

fn url(text: &str) -> SecretUrl {
    SecretUrl::new(text.parse().unwrap())
}

/// Whether these texts hold every line of the long document, in order.
#[track_caller]
fn assert_whole(texts: &[String], lines: usize) {
    let all = texts.concat();
    let mut from = 0;
    for line in 0..lines {
        let wanted = format!("第{line}行");
        let at = all[from..].find(&wanted);
        from += at.unwrap_or_else(|| panic!("{wanted} is not there"));
    }
}

#[tokio::test]
async fn wecom_gets_markdown() {
    let server = Server::answering(GOOD).await;
    let notifier = channel("wecom", &server.url("/cgi-bin/webhook/send?key=K"), "");
    assert_eq!(only(notifier.deliver(&alarm()).await), Ok(()));
    let seen = server.only();
    assert_eq!(seen.method, "POST");
    assert_eq!(seen.target, "/cgi-bin/webhook/send?key=K");
    assert!(seen.header("content-type").starts_with("application/json"));
    assert_eq!(
        seen.json(),
        json!({ "msgtype": "markdown", "markdown": { "content":
            "**⚠️ transship: 转运: 2 of 3 mirrors are behind**\n\
             **Behind ＜now>**\n\
             • **nginx** · lag 1h 12m\n\
             • **镜像** · lag 3h\n\n\
             worst: `quay.io/a/b*c_d` ＜@all> & 'x' ] (http://h) ∗y∗"
        } })
    );
}

#[tokio::test]
async fn wecom_gets_at_most_4096_bytes() {
    let server = Server::answering(GOOD).await;
    let notifier = channel("wecom", &server.url("/"), "");
    let message = message(Topic::Report, long(300));
    assert_eq!(only(notifier.deliver(&message).await), Ok(()));
    let content = |seen: &server::Seen| {
        let json = seen.json();
        json["markdown"]["content"].as_str().unwrap().to_owned()
    };
    let contents: Vec<String> = server.seen().iter().map(content).collect();
    assert!(contents.len() > 2);
    let largest = contents.iter().map(String::len).max().unwrap();
    assert!((3_500..=4_096).contains(&largest), "{largest}");
    assert!(contents[1].starts_with(&format!(
        "**❌ transship: a long day (2/{})**\n",
        contents.len()
    )));
    assert_whole(&contents, 300);
}

#[tokio::test]
async fn errcode_in_status_200_is_an_error() {
    for (kind, answer, expected) in [
        (
            "wecom",
            r#"{"errcode":93000,"errmsg":"invalid webhook url"}"#,
            "errcode 93000: invalid webhook url",
        ),
        (
            "dingtalk",
            r#"{"errcode":310000,"errmsg":"sign not match"}"#,
            "errcode 310000: sign not match",
        ),
        (
            "feishu",
            r#"{"code":19021,"msg":"sign match fail"}"#,
            "code 19021: sign match fail",
        ),
        (
            "feishu",
            r#"{"StatusCode":19024,"StatusMessage":"Key Words Not Found"}"#,
            "code 19024: Key Words",
        ),
    ] {
        let server = Server::answering(answer).await;
        let error = only(channel(kind, &server.url("/"), "").deliver(&alarm()).await).unwrap_err();
        let shown = error.to_string();
        assert!(
            shown.starts_with(&format!("it refused the message: {expected}")),
            "{shown}"
        );
        assert!(!error.remedy().is_empty());
        assert_eq!(server.seen().len(), 1, "it is not tried again");
    }
}

#[tokio::test]
async fn finds_answers_of_other_services() {
    for kind in ["wecom", "dingtalk", "feishu"] {
        for answer in ["<html>Log in to this hotel's network</html>", "{}", ""] {
            let server = Server::answering(answer).await;
            let result = only(channel(kind, &server.url("/"), "").deliver(&alarm()).await);
            assert!(
                matches!(result, Err(Error::Strange(_))),
                "{kind}: {result:?}"
            );
        }
    }
}

#[tokio::test]
async fn retries_after_too_many_messages() {
    for (kind, answer, good) in [
        (
            "wecom",
            r#"{"errcode":45009,"errmsg":"api freq out of limit"}"#,
            GOOD,
        ),
        (
            "dingtalk",
            r#"{"errcode":130101,"errmsg":"send too fast"}"#,
            GOOD,
        ),
        (
            "feishu",
            r#"{"code":11232,"msg":"frequency limited"}"#,
            FEISHU_GOOD,
        ),
    ] {
        let server = Server::answering(good).await.then(200, answer);
        let result = only(channel(kind, &server.url("/"), "").deliver(&alarm()).await);
        assert_eq!(result, Ok(()), "{kind}");
        assert_eq!(server.seen().len(), 2);
    }
}

#[tokio::test]
async fn dingtalk_gets_signed_markdown_in_limit() {
    let server = Server::answering(GOOD).await;
    let notifier = channel(
        "dingtalk",
        &server.url("/robot/send?access_token=T"),
        "secret = \"SECtest\"",
    );
    let message = message(Topic::Report, long(900));
    assert_eq!(only(notifier.deliver(&message).await), Ok(()));
    let seen = server.seen();
    assert!(seen.len() > 1);
    let largest = seen.iter().map(|seen| seen.body.len()).max().unwrap();
    assert!((18_000..=20_000).contains(&largest), "{largest}");
    for seen in &seen {
        assert!(
            seen.target
                .starts_with("/robot/send?access_token=T&timestamp=17"),
            "{}",
            seen.target
        );
        assert!(seen.target.contains("&sign="));
        assert_eq!(seen.json()["msgtype"], "markdown");
    }
    let markdown = |seen: &server::Seen| seen.json()["markdown"].clone();
    assert_eq!(
        markdown(&seen[0])["title"],
        format!("❌ transship: a long day (1/{})", seen.len())
    );
    let texts: Vec<String> = seen
        .iter()
        .map(|seen| markdown(seen)["text"].to_string())
        .collect();
    assert_whole(&texts, 900);
}

#[test]
fn dingtalk_signature_matches_vector() {
    let secret = "SECtest".to_owned().into();
    let url = url("https://oapi.dingtalk.com/robot/send?access_token=T");
    let posts = dingtalk::posts(
        &url,
        Some(&secret),
        &document(),
        Language::English,
        1_700_000_000_000,
    );
    assert_eq!(
        posts[0].url.as_str(),
        "https://oapi.dingtalk.com/robot/send?access_token=T&timestamp=1700000000000\
         &sign=aZLLrriXgn05YbwaGR7knYsLeJADjr9NwLaNNKpxh4g%3D"
    );
    let posts = dingtalk::posts(
        &url,
        None,
        &document(),
        Language::English,
        1_700_000_000_000,
    );
    assert_eq!(posts[0].url.query(), Some("access_token=T"));
}

#[tokio::test]
async fn feishu_gets_cards() {
    let server = Server::answering(FEISHU_GOOD).await;
    let notifier = channel("feishu", &server.url("/open-apis/bot/v2/hook/ID"), "");
    assert_eq!(only(notifier.deliver(&alarm()).await), Ok(()));
    let json = server.only().json();
    assert_eq!(json["msg_type"], "interactive");
    assert!(json.get("sign").is_none());
    let header = &json["card"]["header"];
    assert_eq!(header["template"], "orange");
    assert_eq!(
        header["title"]["content"],
        "⚠️ transship: 转运: 2 of 3 mirrors are behind"
    );
    assert_eq!(
        json["card"]["elements"],
        json!([{ "tag": "markdown", "content":
            "**Behind &#60;now&#62;**\n\
             • **nginx** · lag 1h 12m\n\
             • **镜像** · lag 3h\n\n\
             worst: quay.io/a/b&#42;c&#95;d &#60;@all&#62; &#38; &#96;x&#96; &#93;(http://h) &#42;y&#42;"
        }])
    );
    let verdict = message(
        Topic::Recovered,
        Document::new("all is well", Severity::Good),
    );
    assert_eq!(only(notifier.deliver(&verdict).await), Ok(()));
    let card = &server.seen()[1].json()["card"];
    assert_eq!(card["header"]["template"], "green");
    assert_eq!(card["elements"][0]["content"], "✅ transship: all is well");
}

#[tokio::test]
async fn feishu_gets_at_most_20000_bytes() {
    let server = Server::answering(FEISHU_GOOD).await;
    let notifier = channel("feishu", &server.url("/"), "secret = \"s\"");
    let message = message(Topic::Report, long(900));
    assert_eq!(only(notifier.deliver(&message).await), Ok(()));
    let seen = server.seen();
    let largest = seen.iter().map(|seen| seen.body.len()).max().unwrap();
    assert!((18_000..=20_000).contains(&largest), "{largest}");
    let texts = seen
        .iter()
        .map(|seen| seen.json()["card"]["elements"].to_string());
    assert_whole(&texts.collect::<Vec<_>>(), 900);
}

#[test]
fn feishu_signature_matches_vector() {
    let secret = "SECtest".to_owned().into();
    let url = url("https://open.feishu.cn/open-apis/bot/v2/hook/ID");
    let posts = feishu::posts(
        &url,
        Some(&secret),
        &document(),
        Language::English,
        1_700_000_000,
    );
    let body: Value = serde_json::from_str(&posts[0].body).unwrap();
    assert_eq!(body["timestamp"], "1700000000");
    assert_eq!(body["sign"], "G7XpBpG8NgG02fJOAhX6FRAObIljmFoxVReo8I62pEk=");
}

#[tokio::test]
async fn slack_gets_blocks() {
    let server = Server::answering("ok").await;
    let notifier = channel("slack", &server.url("/services/T/B/X"), "");
    assert_eq!(only(notifier.deliver(&alarm()).await), Ok(()));
    let json = server.only().json();
    let title = "⚠️ transship: 转运: 2 of 3 mirrors are behind";
    assert_eq!(json["text"], title);
    assert_eq!(
        json["blocks"][0],
        json!({ "type": "header", "text": { "type": "plain_text", "text": title } })
    );
    assert_eq!(
        json["blocks"][1]["text"]["text"],
        "*Behind &lt;now&gt;*\n\
         • *nginx* · lag 1h 12m\n\
         • *镜像* · lag 3h\n\n\
         worst: `quay.io/a/b*c_d` &lt;@all&gt; &amp; 'x' ](http://h) ∗y∗"
    );
    assert_eq!(json["blocks"][1]["text"]["type"], "mrkdwn");
    assert_eq!(json["blocks"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn slack_blocks_stay_in_limits() {
    let server = Server::answering("ok").await;
    let notifier = channel("slack", &server.url("/"), "");
    let message = message(Topic::Report, long(1_200));
    assert_eq!(only(notifier.deliver(&message).await), Ok(()));
    let mut texts = Vec::new();
    for seen in server.seen() {
        let json = seen.json();
        let blocks = json["blocks"].as_array().unwrap();
        assert!((2..=50).contains(&blocks.len()));
        assert!(blocks[0]["text"]["text"].as_str().unwrap().chars().count() <= 150);
        let sections = blocks[1..].iter();
        let sections: Vec<&str> = sections
            .map(|b| b["text"]["text"].as_str().unwrap())
            .collect();
        assert!(
            sections
                .iter()
                .all(|text| text.encode_utf16().count() <= 3_000)
        );
        let all: usize = sections.iter().map(|text| text.chars().count()).sum();
        assert!(all <= 10_000, "{all}");
        texts.extend(sections.into_iter().map(ToOwned::to_owned));
    }
    assert_whole(&texts, 1_200);
}

#[tokio::test]
async fn slack_refusals_have_remedies() {
    for (status, answer) in [
        (404, "no_service"),
        (403, "invalid_token"),
        (410, "channel_is_archived"),
    ] {
        let server = Server::answering("ok").await.then(status, answer);
        let result = only(
            channel("slack", &server.url("/"), "")
                .deliver(&alarm())
                .await,
        );
        let error = result.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("it refused the message: status {status}: {answer}")
        );
        assert!(error.remedy().contains("webhook"), "{}", error.remedy());
        assert_eq!(server.seen().len(), 1);
    }
}

fn telegram(server: &Server) -> Notifier {
    channel(
        "telegram",
        &server.url("/api/"),
        "token = \"123:AbC\"\nchat = -100123",
    )
}

#[tokio::test]
async fn telegram_gets_html() {
    let server = Server::answering(r#"{"ok":true,"result":{}}"#).await;
    assert_eq!(only(telegram(&server).deliver(&alarm()).await), Ok(()));
    let seen = server.only();
    assert_eq!(seen.target, "/api/bot123:AbC/sendMessage");
    let json = seen.json();
    assert_eq!(json["chat_id"], "-100123");
    assert_eq!(json["parse_mode"], "HTML");
    assert_eq!(
        json["text"],
        "<b>⚠️ transship: 转运: 2 of 3 mirrors are behind</b>\n\
         <b>Behind &lt;now&gt;</b>\n\
         • <b>nginx</b> · lag 1h 12m\n\
         • <b>镜像</b> · lag 3h\n\n\
         worst: <code>quay.io/a/b*c_d</code> &lt;@all&gt; &amp; `x` ](http://h) *y*"
    );
}

#[tokio::test]
async fn telegram_gets_at_most_4096_characters() {
    let server = Server::answering(r#"{"ok":true}"#).await;
    let message = message(Topic::Report, long(400));
    assert_eq!(only(telegram(&server).deliver(&message).await), Ok(()));
    let text = |seen: &server::Seen| seen.json()["text"].as_str().unwrap().to_owned();
    let texts: Vec<String> = server.seen().iter().map(text).collect();
    let largest = texts
        .iter()
        .map(|text| text.encode_utf16().count())
        .max()
        .unwrap();
    assert!((3_500..=4_096).contains(&largest), "{largest}");
    assert_whole(&texts, 400);
}

#[tokio::test]
async fn telegram_reports_error_and_wait() {
    let server = Server::answering(r#"{"ok":true}"#).await.then(
        429,
        r#"{"ok":false,"error_code":429,"description":"Too Many Requests","parameters":{"retry_after":0}}"#,
    );
    assert_eq!(only(telegram(&server).deliver(&alarm()).await), Ok(()));
    assert_eq!(server.seen().len(), 2);
    let server = Server::answering(r#"{"ok":true}"#).await.then(
        400,
        r#"{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}"#,
    );
    let error = only(telegram(&server).deliver(&alarm()).await).unwrap_err();
    assert_eq!(
        error.to_string(),
        "it refused the message: Bad Request: chat not found"
    );
    assert!(error.remedy().starts_with("check `chat`"));
}
