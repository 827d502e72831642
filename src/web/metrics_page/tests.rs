use futures::future::join_all;

use super::*;

fn page() -> MetricsPage {
    MetricsPage::new(Arc::new(Metrics::new().unwrap()))
}

#[tokio::test]
async fn renders_once_for_all_who_wait() {
    let page = page();
    let held = page.latest.lock().await;
    let texts = async { join_all((0..100).map(|_| page.text())).await };
    let free = async {
        tokio::task::yield_now().await;
        drop(held);
    };
    let (texts, ()) = tokio::join!(texts, free);
    let texts: Vec<Bytes> = texts.into_iter().map(Result::unwrap).collect();
    let is_shared = |text: &Bytes| text.as_ptr() == texts[0].as_ptr();
    assert!(texts.iter().all(is_shared));
}

#[tokio::test]
async fn later_request_gets_later_metrics() {
    let page = page();
    let before = page.text().await.unwrap();
    page.metrics.report_made(1_700_000_000);
    assert_ne!(before, page.text().await.unwrap());
}

#[tokio::test]
async fn serves_newest_rendering_while_all_are_read() {
    let page = page();
    let mut held = Vec::new();
    for _ in 0..MAX_RENDERINGS {
        held.push(page.text().await.unwrap());
    }
    let again = page.text().await.unwrap();
    assert_eq!(again.as_ptr(), held.last().unwrap().as_ptr());
    drop(held);
    drop(again);
    page.text().await.unwrap();
    assert_eq!(page.renderings.available_permits(), MAX_RENDERINGS - 1);
}
