use super::*;

fn repository(name: &str) -> Repository {
    format!("quay.io/{name}").parse().unwrap()
}

#[test]
fn flood_of_names_is_bounded() {
    let board = PullBoard::default();
    for at in 0..3 * COUNTED {
        let repository = repository(&format!("n{at}"));
        let tag = Version::Tag("v1".parse().unwrap());
        board.pulled(&repository, &tag, PullOutcome::Miss, None, 100);
        board.refused(&repository, PullRefusal::NotListed, 100);
    }
    assert_eq!(board.take().len(), 3 * COUNTED);
    assert_eq!(board.take().len(), 0);
    assert_eq!(board.live(100).refused.unwrap().rule, 3 * COUNTED as u64);
}

#[test]
fn failure_of_an_upstream_ends_with_its_answer_or_when_nobody_asks() {
    let board = PullBoard::default();
    let registry = "quay.io".parse().unwrap();
    for at in [100, 200] {
        board.upstream_failed(&registry, "503", at);
    }
    board.served_stale(&registry);
    let live = board.live(300).upstreams;
    let [upstream] = live.as_slice() else {
        panic!("{live:?}")
    };
    assert_eq!(
        (upstream.since, upstream.pulls, upstream.stale),
        (100, 2, 1)
    );
    assert!(board.live(200 + 900).upstreams.is_empty());
    board.upstream_answered(&registry);
    assert!(board.live(300).upstreams.is_empty());
}

#[test]
fn refused_clients_begin_anew_after_an_hour() {
    let board = PullBoard::default();
    board.client_refused(ClientRefusal::Limit, 100);
    board.client_refused(ClientRefusal::Network, 3000);
    let refused = board.live(3001).refused.unwrap();
    assert_eq!((refused.since, refused.all()), (100, 2));
    assert!(board.live(3000 + 3600).refused.is_none());
    board.client_refused(ClientRefusal::Limit, 9000);
    assert_eq!(board.live(9001).refused.unwrap().since, 9000);
}
