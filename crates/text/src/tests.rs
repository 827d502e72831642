use crate::*;

#[test]
fn a_line_moves_no_cursor() {
    let odd = "a\u{1b}[2Jb\r\nc\u{9b}d\u{85}e\u{2028}f\u{2029}g";
    assert_eq!(one_line(odd), "a [2Jb c d e f g");
    assert!(!is_clean(odd));
}

#[test]
fn a_line_reads_in_one_direction_and_hides_nothing() {
    for hidden in [
        '\u{61c}',
        '\u{200b}',
        '\u{200d}',
        '\u{200e}',
        '\u{200f}',
        '\u{202e}',
        '\u{2060}',
        '\u{2066}',
        '\u{2069}',
        '\u{feff}',
        '\u{ad}',
        '\u{180e}',
        '\u{3164}',
        '\u{fff9}',
        '\u{e0041}',
    ] {
        assert_eq!(one_line(&format!("a{hidden}b")), "ab", "{hidden:?}");
        assert!(!is_clean(&hidden.to_string()));
    }
}

#[test]
fn a_line_keeps_letters_of_every_language() {
    for text in [
        "同步失败：没有权限",
        "échoué",
        "⚠️ تم الرفض",
        "x".repeat(LONGEST).as_str(),
    ] {
        assert_eq!(one_line(text), text);
        assert!(is_clean(text));
    }
}

#[test]
fn a_line_is_bounded_in_bytes() {
    let long = one_line(&"x".repeat(5_000_000));
    assert_eq!(long.chars().count(), LONGEST + 1);
    let wide = one_line(&"\u{1f433}".repeat(600));
    assert_eq!(wide.len(), LONGEST + '…'.len_utf8());
}
