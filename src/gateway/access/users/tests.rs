use std::fs;

use super::*;

const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
const TWO: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

/// Users of a file in a folder of their own.
fn users(folder: &tempfile::TempDir, text: &str) -> (Users, GatewayUsers) {
    let file = folder.path().join("users");
    fs::write(&file, text).unwrap();
    let configured = GatewayUsers {
        file,
        anonymous: Vec::new(),
    };
    let users = Users::default();
    users.refresh(Some(&configured));
    (users, configured)
}

fn line(name: &str, password: &str) -> String {
    format!("{name}:{}\n", bcrypt::hash(password, 4).unwrap())
}

#[tokio::test]
async fn right_password_is_let_in_and_others_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let (users, _) = users(&folder, &line("ann", "right"));
    let key = TokenKey::new();
    assert_eq!(users.check(&key, ONE, ("ann", "right")).await, Ok(()));
    let refused = users.check(&key, ONE, ("ann", "wrong")).await;
    assert_eq!(refused, Err(LoginRefusal::Wrong));
    let refused = users.check(&key, ONE, ("bob", "right")).await;
    assert_eq!(refused, Err(LoginRefusal::Unknown));
}

#[tokio::test]
async fn flood_of_passwords_is_cut_for_one_address_and_spares_known_logins() {
    let folder = tempfile::tempdir().unwrap();
    let (users, _) = users(&folder, &line("ann", "right"));
    let key = TokenKey::new();
    assert_eq!(users.check(&key, ONE, ("ann", "right")).await, Ok(()));
    let mut checked = 0;
    for at in 0..200 {
        let guess = format!("guess-{at}");
        match users.check(&key, ONE, ("ann", &guess)).await {
            Err(LoginRefusal::Wrong) => checked += 1,
            other => assert_eq!(other, Err(LoginRefusal::TooMany)),
        }
    }
    assert!((10..=11).contains(&checked), "{checked}");
    // A login that was right once is still let in, and another address has attempts of its own.
    assert_eq!(users.check(&key, ONE, ("ann", "right")).await, Ok(()));
    let other = users.check(&key, TWO, ("ann", "wrong")).await;
    assert_eq!(other, Err(LoginRefusal::Wrong));
}

#[tokio::test]
async fn new_password_ends_the_old_one_and_its_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let (users, configured) = users(&folder, &line("ann", "right"));
    let key = TokenKey::new();
    assert_eq!(users.check(&key, ONE, ("ann", "right")).await, Ok(()));
    let mark = users.mark(&key, "ann");
    fs::write(&configured.file, line("ann", "newer") + &line("bob", "x")).unwrap();
    users.refresh(Some(&configured));
    let refused = users.check(&key, ONE, ("ann", "right")).await;
    assert_eq!(refused, Err(LoginRefusal::Wrong));
    assert_eq!(users.check(&key, ONE, ("ann", "newer")).await, Ok(()));
    assert_ne!(users.mark(&key, "ann"), mark);
}

#[test]
fn wrong_file_leaves_the_last_good_users() {
    let folder = tempfile::tempdir().unwrap();
    let (users, configured) = users(&folder, &line("ann", "right"));
    fs::write(&configured.file, "no user at all").unwrap();
    users.refresh(Some(&configured));
    assert!(!users.is_unknown("ann"));
    fs::remove_file(&configured.file).unwrap();
    users.refresh(Some(&configured));
    assert!(!users.is_unknown("ann"));
}
