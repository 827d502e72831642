//! `notify test`: a trial message reaches each kind of channel, and what does not arrive is told with a remedy.

use serde_json::Value;

use crate::support::net::mail::MailServer;
use crate::support::net::receiver::Receiver;
use crate::support::programs::transship::Transship;

const MIRROR: &str =
    "\n[defaults]\ntarget = \"127.0.0.1:1/mirror\"\n\n[[mirror]]\nfrom = \"127.0.0.1:2/app:v1\"\n";

fn channel(name: &str, kind: &str, url: &str, keys: &str) -> String {
    format!("[notify.{name}]\nkind = \"{kind}\"\nurl = \"{url}\"\n{keys}\n")
}

fn transship(channels: &[String]) -> Transship {
    Transship::new(&format!("{}{MIRROR}", channels.concat()))
}

#[track_caller]
fn result<'a>(report: &'a Value, channel: &str) -> &'a Value {
    let mut results = report["channels"].as_array().unwrap().iter();
    let found = results.find(|result| result["channel"] == channel);
    found.unwrap_or_else(|| panic!("no {channel} in {report:#}"))
}

#[test]
fn test_message_reaches_every_kind() {
    let receiver = Receiver::start();
    let url = |path: &str| receiver.url(path);
    let transship = transship(&[
        channel("a", "wecom", &url("/wecom"), ""),
        channel("b", "dingtalk", &url("/dingtalk"), "secret = \"s\""),
        channel("c", "feishu", &url("/feishu"), "secret = \"s\""),
        channel("d", "slack", &url("/slack"), ""),
        channel(
            "e",
            "telegram",
            &url("/telegram"),
            "token = \"1:a\"\nchat = 7",
        ),
        channel("f", "healthchecks", &url("/check"), ""),
        channel("g", "webhook", &url("/webhook"), "on = [\"auth\"]"),
    ]);
    let finished = transship.run(&["notify", "test"]).expect_code(0);
    let lines: Vec<&str> = finished.stdout.lines().collect();
    let expected = ["a", "b", "c", "d", "e", "f", "g"].map(|name| format!("{name}  ok"));
    assert_eq!(lines, expected);
    let received = receiver.received();
    let paths: Vec<&str> = received.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "/check/log",
            "/dingtalk",
            "/feishu",
            "/slack",
            "/telegram/bot1:a/sendMessage",
            "/webhook",
            "/wecom"
        ]
    );
    for (path, body) in &received {
        assert!(body.contains("a trial message"), "{path}: {body}");
        assert!(
            path == "/webhook" || body.contains("监控"),
            "{path}: {body}"
        );
    }
}

#[test]
fn tests_only_named_channels() {
    let receiver = Receiver::start();
    let transship = transship(&[
        channel("ops", "slack", &receiver.url("/ops"), ""),
        channel("dev", "slack", &receiver.url("/dev"), ""),
    ]);
    transship.run(&["notify", "test", "dev"]).expect_code(0);
    let received = receiver.received();
    assert_eq!(received.len(), 1, "{received:#?}");
    assert_eq!(received[0].0, "/dev");
}

#[test]
fn refused_message_has_remedy_without_url() {
    let receiver = Receiver::start();
    let gone = receiver.url("/gone/T0123456789/hunter2");
    let transship = transship(&[
        channel("gone", "slack", &gone, ""),
        channel("nowhere", "webhook", "http://127.0.0.1:1/hunter2", ""),
        channel("well", "slack", &receiver.url("/well"), ""),
    ]);
    let finished = transship.run(&["--json", "notify", "test"]).expect_code(1);
    let report = finished.json();
    assert_eq!(result(&report, "well")["result"], "ok");
    let refused = result(&report, "gone");
    assert_eq!(refused["kind"], "slack");
    assert_eq!(refused["result"], "failed");
    let message = refused["message"].as_str().unwrap();
    assert!(message.ends_with("status 404: no hook at ***"), "{message}");
    assert!(refused["remedy"].as_str().unwrap().contains("webhook"));
    let unreachable = result(&report, "nowhere");
    let message = unreachable["message"].as_str().unwrap();
    assert!(message.contains("cannot be reached"), "{message}");
    assert!(!finished.to_string().contains("hunter2"), "{finished}");
    let finished = transship.run(&["notify", "test", "gone"]).expect_code(2);
    finished.expect_stdout(&[
        "gone  FAILED  it refused the message",
        "help: copy the webhook",
    ]);
}

#[test]
fn unknown_channel_is_a_usage_error() {
    let channels = [channel("ops-feishu", "feishu", "http://127.0.0.1:1/", "")];
    let transship = transship(&channels);
    transship
        .run(&["notify", "test", "ops-fieshu"])
        .expect_code(64)
        .expect_stderr(&["no channel `ops-fieshu`", "did you mean `ops-feishu`?"]);
    Transship::new(MIRROR)
        .run(&["notify", "test"])
        .expect_code(64)
        .expect_stderr(&["no channel in mirror.toml", "add a [notify.NAME]"]);
}

fn mail(server: &MailServer) -> Transship {
    let url = format!("smtps://localhost:{}", server.port);
    let keys = "from = \"transship@example.com\"\nto = \"ops@example.com\"\n\
                username = \"me\"\npassword = { env = \"MAIL_PASSWORD\" }";
    let mut transship = transship(&[channel("mail", "email", &url, keys)]);
    transship.set_env("MAIL_PASSWORD", "hunter2");
    transship
}

#[test]
fn sends_mail_over_tls() {
    let server = MailServer::start();
    let mut transship = mail(&server);
    let trusted = server.ca_file().display().to_string();
    transship.set_env("SSL_CERT_FILE", &trusted);
    transship.run(&["notify", "test"]).expect_code(0);
    let heard = server.heard();
    for word in [
        "AUTH PLAIN",
        "RCPT TO:<ops@example.com>",
        "Subject: transship: a trial message",
        "Content-Type: text/html",
    ] {
        assert!(heard.contains(word), "{heard}");
    }
}

#[test]
fn untrusted_mail_server_gets_nothing() {
    let server = MailServer::start();
    let finished = mail(&server).run(&["notify", "test"]).expect_code(2);
    let finished = finished.expect_stdout(&["certificate", "help: check that its certificate"]);
    assert!(!finished.to_string().contains("hunter2"));
    assert_eq!(server.heard(), "");
}
