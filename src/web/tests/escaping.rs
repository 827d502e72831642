use crate::{
    alarms::{Alarm, AlarmSubject},
    config::Topic,
    store::RunResult,
    web::tests::bench::{WebBench, key},
};

const EVIL: &str = "<script>alert(1)</script>\"'&";

/// A daemon in which everything that others may choose is hostile.
async fn hostile() -> WebBench {
    let bench =
        WebBench::new("[[mirror]]\nname = '<script>alert(1)</script>\"&'\nfrom = \"nginx:1\"\n")
            .await;
    let name = "<script>alert(1)</script>\"&";
    let tag = key(name, "docker.io/library/nginx", "1");
    bench.moved(&tag, "one", 100, Some(EVIL)).await;
    bench.ran(name, 100, RunResult::Failed, EVIL).await;
    bench.settle().await;
    bench.reject_config(EVIL);
    bench.app.alarms.set(vec![Alarm {
        topic: Topic::Failing,
        subject: AlarmSubject::Mirror(name.into()),
        since: bench.now,
        message: EVIL.into(),
        mirrors: Vec::new(),
    }]);
    bench
}

#[tokio::test]
async fn pages_escape_names_and_errors() {
    let bench = hostile().await;
    for uri in [
        "/",
        "/mirrors/%3Cscript%3Ealert(1)%3C/script%3E%22&",
        "/report/latest",
    ] {
        let page = bench.get(uri).await;
        assert!(page.status.is_success(), "{uri}");
        assert!(!page.body.contains("<script"), "{uri}: {}", page.body);
        assert!(
            page.body.contains("script&#62;") || page.body.contains("script&gt;"),
            "{uri}"
        );
    }
}

#[tokio::test]
async fn pages_escape_queries() {
    let bench = hostile().await;
    for uri in [
        "/search?image=%3Cscript%3Ealert(1)%3C/script%3E",
        "/search?image=%22%3E%3Cscript%3Ealert(1)%3C/script%3E:1",
        "/?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
        "/?state=%22%3E%3Cscript%3E",
        "/?lang=%22%3E%3Cscript%3E",
        "/mirrors/%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
        "/report/latest?format=%3Cscript%3E",
        "/%3Cscript%3E?%22%3E%3Cscript%3E=1",
    ] {
        let page = bench.get(uri).await;
        assert!(!page.body.contains("<script"), "{uri}: {}", page.body);
        assert!(!page.body.contains("\"\">"), "{uri}: {}", page.body);
    }
}
