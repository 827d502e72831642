use futures::FutureExt as _;

use crate::sync::copy::single_flight::*;

#[tokio::test]
async fn one_leads_the_others_wait_and_look_again() {
    let flights = SingleFlight::default();
    let lead = flights.lead_or_wait(&"blob").await;
    assert!(lead.is_some());
    let mut second = Box::pin(flights.lead_or_wait(&"blob"));
    assert!((&mut second).now_or_never().is_none());
    assert!(flights.lead_or_wait(&"other").await.is_some());
    drop(lead);
    assert!(second.await.is_none());
    assert!(flights.lead_or_wait(&"blob").await.is_some());
}
