use crate::error::*;

#[test]
fn what_others_said_is_cut_and_moves_no_cursor() {
    let long = Kind::Protocol("x".repeat(5_000_000)).bounded().to_string();
    assert_eq!(long.chars().count(), transship_text::LONGEST + 1);
    let odd = Kind::Denied("a\u{1b}[2Jb\r\nc\u{202e}\u{61c}d".into()).bounded();
    let text = odd.to_string();
    assert!(text.contains("a [2Jb cd"), "{text:?}");
    assert!(!text.chars().any(char::is_control), "{text:?}");
}
