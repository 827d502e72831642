//! Letters.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{mail_server::MailServer, *};
use crate::config::{Email, Relay, Security};

const LOGIN: &str = "username = \"me\"\npassword = \"hunter2\"";

fn notifier_for(server: &MailServer, keys: &str) -> Notifier {
    notifier(&format!(
        "[notify.ops]\nkind = \"email\"\nurl = \"smtp://127.0.0.1:{}\"\n\
         from = \"transship <transship@example.com>\"\n\
         to = [\"ops@example.com\", \"运维 <yunwei@example.com>\"]\n{keys}\n",
        server.port
    ))
}

/// The content type and the text of each part of a letter.
fn parts(letter: &str) -> Vec<(String, String)> {
    let (head, body) = letter.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains("Content-Type: multipart/alternative;"),
        "{head}"
    );
    let boundary = head
        .split_once("boundary=\"")
        .unwrap()
        .1
        .split_once('"')
        .unwrap()
        .0;
    let parts = body.split(&format!("--{boundary}")).collect::<Vec<_>>();
    let (last, parts) = parts[1..].split_last().unwrap();
    assert!(last.starts_with("--"), "{last}");
    let part = |part: &&str| {
        let (head, text) = part.split_once("\r\n\r\n").unwrap();
        let of = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("{head}")).trim().to_owned()
        };
        let text = match of("Content-Transfer-Encoding:").as_str() {
            "base64" => {
                let text = text.replace("\r\n", "");
                String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
            }
            "quoted-printable" => unquote(text),
            "7bit" => text.to_owned(),
            other => panic!("{other}"),
        };
        (of("Content-Type:"), text.replace("\r\n", "\n"))
    };
    parts.iter().map(part).collect()
}

fn unquote(text: &str) -> String {
    let text = text.replace("=\r\n", "");
    let (first, coded) = text.split_once('=').unwrap_or((&text, ""));
    let mut bytes = first.as_bytes().to_vec();
    for piece in coded.split('=').filter(|piece| !piece.is_empty()) {
        bytes.push(u8::from_str_radix(&piece[..2], 16).unwrap());
        bytes.extend_from_slice(&piece.as_bytes()[2..]);
    }
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn mail_has_text_and_html() {
    let server = MailServer::replying(&[]).await;
    assert_eq!(
        only(notifier_for(&server, "").deliver(&alarm()).await),
        Ok(())
    );
    let heard = server.heard();
    let [letter] = &heard.letters[..] else {
        panic!("{heard:#?}");
    };
    let parts = parts(letter);
    assert_eq!(parts.len(), 2);
    assert_eq!(parts[0].0, "text/plain; charset=utf-8");
    assert_eq!(parts[0].1.trim_end(), document().to_text().trim_end());
    assert_eq!(parts[1].0, "text/html; charset=utf-8");
    assert!(parts[1].1.contains(&document().to_html()), "{}", parts[1].1);
}

#[tokio::test]
async fn mail_has_headers_of_a_machine() {
    let server = MailServer::replying(&[]).await;
    assert_eq!(
        only(notifier_for(&server, "").deliver(&alarm()).await),
        Ok(())
    );
    let heard = server.heard();
    for command in [
        "MAIL FROM:<transship@example.com>",
        "RCPT TO:<ops@example.com>",
        "RCPT TO:<yunwei@example.com>",
    ] {
        assert!(heard.commands.iter().any(|c| c == command), "{heard:#?}");
    }
    assert!(heard.commands.iter().all(|c| !c.starts_with("AUTH")));
    let head = heard.letters[0].split_once("\r\n\r\n").unwrap().0;
    let unfolded = head.replace("\r\n ", " ");
    let of = |name: &str| {
        unfolded
            .lines()
            .find_map(|l| l.strip_prefix(name))
            .unwrap_or_default()
    };
    assert!(of("From: ").contains("transship@example.com"), "{head}");
    assert!(of("To: ").contains("yunwei@example.com"), "{head}");
    assert_eq!(of("Auto-Submitted: "), "auto-generated");
    assert!(
        of("Message-ID: ").contains('@') && !of("Date: ").is_empty(),
        "{head}"
    );
    let subject = of("Subject: ").replace("?= =?utf-8?b?", "");
    let coded = subject
        .split("=?utf-8?b?")
        .nth(1)
        .and_then(|s| s.split_once("?="));
    let (coded, rest) = coded.unwrap_or_else(|| panic!("{subject}"));
    let decoded = String::from_utf8(STANDARD.decode(coded).unwrap()).unwrap();
    assert_eq!(
        format!("{}{decoded}{rest}", &subject[..subject.find("=?").unwrap()]),
        chat::subject(&document())
    );
}

#[tokio::test]
async fn mail_reports_refused_login() {
    let server = MailServer::replying(&[]).await;
    assert_eq!(
        only(notifier_for(&server, LOGIN).deliver(&alarm()).await),
        Ok(())
    );
    let plain = format!("AUTH PLAIN {}", STANDARD.encode("\0me\0hunter2"));
    assert!(server.heard().commands.contains(&plain));
    let refusal = "535 5.7.8 no, hunter2 is not the password";
    let server = MailServer::replying(&[("AUTH", refusal)]).await;
    let error = only(notifier_for(&server, LOGIN).deliver(&alarm()).await).unwrap_err();
    assert!(error.to_string().contains("535"), "{error}");
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    assert_eq!(error.remedy(), "check `username` and `password`");
    assert!(server.heard().letters.is_empty());
}

#[tokio::test]
async fn mail_retries_only_temporary_errors() {
    let server = MailServer::replying(&[("RCPT", "451 4.7.1 greylisted")]).await;
    assert_eq!(
        only(notifier_for(&server, "").deliver(&alarm()).await),
        Ok(())
    );
    let heard = server.heard();
    assert_eq!(heard.letters.len(), 1);
    assert_eq!(
        heard
            .commands
            .iter()
            .filter(|c| c.starts_with("EHLO"))
            .count(),
        2
    );
    let server = MailServer::replying(&[("RCPT", "550 5.1.1 no such user")]).await;
    let error = only(notifier_for(&server, "").deliver(&alarm()).await).unwrap_err();
    assert!(error.to_string().contains("no such user"), "{error}");
    assert!(error.remedy().contains("`to`"));
    let heard = server.heard();
    assert_eq!(
        heard
            .commands
            .iter()
            .filter(|c| c.starts_with("EHLO"))
            .count(),
        1
    );
}

#[tokio::test]
async fn mail_requires_starttls_or_fails() {
    let server = MailServer::replying(&[]).await;
    let email = Email {
        relay: Relay {
            host: "127.0.0.1".into(),
            port: server.port,
            security: Security::StartTls,
        },
        login: Some(("me".into(), "hunter2".to_owned().into())),
        from: "a@example.com".parse().unwrap(),
        to: vec!["b@example.com".parse().unwrap()],
    };
    let sent = email::send(&email, &document(), PATIENCE, PATIENCE.deadline()).await;
    let error = sent.unwrap_err();
    assert!(
        error.remedy().contains("smtps://"),
        "{error} {}",
        error.remedy()
    );
    let heard = server.heard();
    let is_harmless = |c: &String| c.starts_with("EHLO") || c == "QUIT";
    assert!(heard.commands.iter().all(is_harmless), "{heard:#?}");
    assert!(heard.letters.is_empty());
}

#[tokio::test]
async fn mail_reports_other_servers() {
    let nowhere = notifier(
        "[notify.ops]\nkind = \"email\"\nurl = \"smtp://127.0.0.1:1\"\n\
         from = \"a@example.com\"\nto = \"b@example.com\"\n",
    );
    let error = only(nowhere.deliver(&alarm()).await).unwrap_err();
    assert!(matches!(error, Error::Unreachable(_)), "{error:?}");
    assert!(error.to_string().contains("refused"), "{error}");
}
