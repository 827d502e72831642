use crate::locales::*;

#[test]
fn accept_language_picks_preferred() {
    for (header, language) in [
        ("", Language::English),
        ("zh-CN,zh;q=0.9,en;q=0.8", Language::Chinese),
        ("en-US,en;q=0.9,zh-CN;q=0.8", Language::English),
        ("en;q=0.3, zh;q=0.7", Language::Chinese),
        ("de-DE,de;q=0.9,zh;q=0.2", Language::Chinese),
        ("de, *;q=0.5, zh;q=0.1", Language::English),
        ("zh;q=0", Language::English),
        ("fr", Language::English),
        ("ZH-hans", Language::Chinese),
        ("zh;q=x, en;q=0.1", Language::English),
        ("zh, en", Language::Chinese),
    ] {
        assert_eq!(Language::preferred(header), language, "{header}");
    }
}

#[test]
fn durations_have_at_most_two_units() {
    for (seconds, english, chinese) in [
        (0, "0s", "0 秒"),
        (59, "59s", "59 秒"),
        (60, "1m", "1 分"),
        (125, "2m 5s", "2 分 5 秒"),
        (725, "12m", "12 分"),
        (4320, "1h 12m", "1 小时 12 分"),
        (7205, "2h", "2 小时"),
        (90_000, "1d 1h", "1 天 1 小时"),
        (400 * 86_400, "400d", "400 天"),
    ] {
        assert_eq!(Language::English.duration(seconds), english);
        assert_eq!(Language::Chinese.duration(seconds), chinese);
    }
}

#[test]
fn languages_have_every_text_and_placeholder() {
    for language in [Language::English, Language::Chinese] {
        assert_eq!(language.words().mistakes(), [""; 0], "{language:?}");
    }
}

#[test]
fn phrase_does_not_fill_in_what_it_filled_in() {
    let text = ENGLISH.time.since("{ago}", "{time}");
    assert_eq!(text, "since {ago} ({time})");
}
