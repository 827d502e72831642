use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use tokio::time::timeout;

use crate::{
    store::RunResult,
    web::{
        SyncReply,
        tests::bench::{PageAnswer, WebBench},
    },
};

const TOKEN: &str = "open-sesame-0123456789";
const ENTRIES: &str = "[defaults]\ntarget = \"m.example.com/a\"\n\
                       [[mirror]]\nname = \"nginx\"\nfrom = \"nginx:1\"\n";

async fn bench() -> WebBench {
    WebBench::with(&format!("[http]\ntoken = \"{TOKEN}\"\n{ENTRIES}")).await
}

impl WebBench {
    /// Presses `Sync now`. The daemon, if it is asked, starts the run. Returns whether it was asked.
    async fn press(&mut self, form: &str, headers: &[(&str, &str)]) -> (PageAnswer, bool) {
        let mut request = Request::post("/actions/sync").header("host", "127.0.0.1:9618");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(form.to_owned())).unwrap();
        let (sender, mut orders) = tokio::sync::mpsc::channel(1);
        self.app.orders = sender;
        let daemon = async {
            let order: crate::web::SyncRequest = orders.recv().await.unwrap();
            order.reply.send(SyncReply::Started).unwrap();
            std::future::pending().await
        };
        let asked = tokio::select! {
            answer = timeout(Duration::from_secs(20), self.send(request)) => answer.unwrap(),
            () = daemon => unreachable!(),
        };
        let is_started = asked.header("location").ends_with("done=started");
        (asked, is_started)
    }
}

#[tokio::test]
async fn button_needs_token_once() {
    let mut bench = bench().await;
    let page = bench.get("/mirrors/nginx").await;
    assert!(
        page.body.contains("name=\"token\" type=\"password\""),
        "{}",
        page.body
    );
    for form in ["mirror=nginx", "mirror=nginx&token=wrong"] {
        let (refused, is_started) = bench.press(form, &[]).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{form}");
        assert!(!is_started);
        assert_eq!(refused.header("set-cookie"), "");
    }
    let (answer, is_started) = bench
        .press(&format!("mirror=nginx&token={TOKEN}"), &[])
        .await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    assert!(is_started);
    let cookie = answer.header("set-cookie").to_owned();
    assert!(!cookie.contains(TOKEN), "{cookie}");
    let (pair, _) = cookie.split_once(';').unwrap();
    let (answer, is_started) = bench.press("mirror=nginx", &[("cookie", pair)]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert!(is_started);
    let request = Request::get("/mirrors/nginx?done=started").header("cookie", pair);
    let page = bench.send(request.body(Body::empty()).unwrap()).await;
    assert!(!page.body.contains("type=\"password\""), "{}", page.body);
    assert!(
        page.text().contains("The run has started."),
        "{}",
        page.text()
    );
    assert!(page.text().contains("Sign out"));
}

#[tokio::test]
async fn mute_button_mutes_and_ends() {
    let bench = bench().await;
    let press = async |lasts: &str, token: &str| {
        let form = format!("mirror=nginx&for={lasts}&token={token}");
        let request = Request::post("/actions/mute").header("host", "127.0.0.1:9618");
        bench.send(request.body(Body::from(form)).unwrap()).await
    };
    assert_eq!(press("2h", "wrong").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(press("soon", TOKEN).await.status, StatusCode::BAD_REQUEST);
    let answer = press("2h", TOKEN).await;
    assert_eq!(answer.header("location"), "/mirrors/nginx?done=muted");
    let page = bench.get("/mirrors/nginx?done=muted").await;
    for text in ["The mirror is muted.", "Muted until 20", "End the mute"] {
        assert!(page.text().contains(text), "{text}: {}", page.text());
    }
    let answer = press("0s", TOKEN).await;
    assert_eq!(answer.header("location"), "/mirrors/nginx?done=unmuted");
    let page = bench.get("/mirrors/nginx").await.text();
    assert!(page.contains("Mute for 2h"), "{page}");
}

#[tokio::test]
async fn registry_button_mutes_it_and_mirrors_behind_it_show_it() {
    let bench = bench().await;
    bench
        .ran_at("docker.io", ("nginx", 60), RunResult::Failed, "no answer")
        .await;
    bench.settle().await;
    let press = async |form: &str, header: (&'static str, &'static str)| {
        let request = Request::post("/actions/mute").header("host", "127.0.0.1:9618");
        let request = request.header(header.0, header.1);
        let body = Body::from(form.to_owned());
        bench.send(request.body(body).unwrap()).await
    };
    let own = ("origin", "http://127.0.0.1:9618");
    let form = |registry: &str, lasts: &str, token: &str| {
        format!("registry={registry}&for={lasts}&token={token}")
    };
    let mute = form("docker.io", "2h", TOKEN);
    for (form, header, status) in [
        (
            mute.clone(),
            ("origin", "http://evil.example"),
            StatusCode::FORBIDDEN,
        ),
        (
            form("docker.io", "2h", "wrong"),
            own,
            StatusCode::UNAUTHORIZED,
        ),
        (form("ghcr.io", "2h", TOKEN), own, StatusCode::NOT_FOUND),
        // The name of a mirror is no registry.
        (form("nginx", "2h", TOKEN), own, StatusCode::NOT_FOUND),
    ] {
        assert_eq!(press(&form, header).await.status, status, "{form}");
    }
    let page = bench.get("/").await.text();
    assert!(
        !page.contains("are sent until") && !page.contains("End the mute"),
        "{page}"
    );

    let answer = press(&mute, own).await;
    assert_eq!(answer.header("location"), "/?done=muted-registry");
    let page = bench.get("/?done=muted-registry").await.text();
    for text in [
        "The registry is muted.",
        "No alarms of docker.io are sent until",
        "End the mute",
        "failing muted",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    let page = bench.get("/mirrors/nginx").await.text();
    for text in ["docker.io is muted until", "muted", "Mute for 2h"] {
        assert!(page.contains(text), "{text}: {page}");
    }
    let answer = press(&form("docker.io", "0s", TOKEN), own).await;
    assert_eq!(answer.header("location"), "/?done=unmuted");
    let page = bench.get("/mirrors/nginx").await.text();
    assert!(!page.contains("docker.io is muted"), "{page}");
}

#[tokio::test]
async fn button_of_other_site_starts_nothing() {
    let mut bench = bench().await;
    let form = format!("mirror=nginx&token={TOKEN}");
    for (name, value) in [
        ("origin", "http://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let (refused, is_started) = bench.press(&form, &[(name, value)]).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{name}: {value}");
        assert!(!is_started);
    }
    let (_, is_started) = bench
        .press(&form, &[("origin", "http://127.0.0.1:9618")])
        .await;
    assert!(is_started);
}

#[tokio::test]
async fn button_of_unknown_mirror_or_without_token() {
    let mut bench = bench().await;
    let (answer, _) = bench
        .press(&format!("mirror=ngins&token={TOKEN}"), &[])
        .await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let mut open = WebBench::with(ENTRIES).await;
    let page = open.get("/mirrors/nginx").await.body;
    assert!(!page.contains("/actions/sync"), "{page}");
    let (answer, is_started) = open.press("mirror=nginx&token=", &[]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(!is_started);
}
