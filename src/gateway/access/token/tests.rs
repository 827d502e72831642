use super::*;

fn claims() -> TokenClaims {
    TokenClaims {
        user: Some("ann".into()),
        password_mark: "mark".into(),
        expires_at: 1000,
        repositories: vec!["library/nginx".into()],
    }
}

#[test]
fn own_token_is_read_back_until_it_expires() {
    let key = TokenKey::new();
    let token = key.sign(&claims());
    assert_eq!(key.open(&token, 999), Some(claims()));
    assert_eq!(key.open(&token, 1000), None);
}

#[test]
fn token_of_another_key_is_void() {
    let token = TokenKey::new().sign(&claims());
    assert_eq!(TokenKey::new().open(&token, 0), None);
}

#[test]
fn changed_token_is_void() {
    let key = TokenKey::new();
    let token = key.sign(&claims());
    let parts: Vec<&str> = token.split('.').collect();
    let more = TokenClaims {
        repositories: vec!["library/secret".into()],
        ..claims()
    };
    let more = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&more).unwrap());
    // {"alg":"none"}
    let none = "eyJhbGciOiJub25lIn0";
    for forged in [
        format!("{}.{more}.{}", parts[0], parts[2]),
        format!("{none}.{}.{}", parts[1], parts[2]),
        format!("{none}.{}.", parts[1]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{token}A"),
        String::new(),
        "..".into(),
        "é".repeat(20),
        "a".repeat(TOKEN + 1),
    ] {
        assert_eq!(key.open(&forged, 0), None, "{forged}");
    }
}

#[test]
fn signed_text_with_another_header_is_void() {
    let key = TokenKey::new();
    let text = format!(
        "e30.{}",
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims()).unwrap())
    );
    let tag = URL_SAFE_NO_PAD.encode(hmac::sign(&key.0, text.as_bytes()));
    assert_eq!(key.open(&format!("{text}.{tag}"), 0), None);
}

#[test]
fn marks_keep_parts_apart() {
    let key = TokenKey::new();
    assert_ne!(key.mark(&["ab", "c"]), key.mark(&["a", "bc"]));
    assert_eq!(key.mark(&["ab", "c"]), key.mark(&["ab", "c"]));
}
