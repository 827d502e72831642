use proptest::prelude::*;

use super::*;

/// HTML, as Telegram reads it: tags and entities that must not be torn.
const HTML: Dialect = Dialect {
    span: |style, text| {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        match style {
            Style::Plain | Style::Link => text,
            Style::Bold => format!("<b>{text}</b>"),
            Style::Code => format!("<code>{text}</code>"),
        }
    },
    line_end: "\n",
    size: str::len,
    limit: 400,
    line_limit: 400,
};

fn long(lines: usize) -> Document {
    let mut document = Document::new("transship: all is well", Severity::Good);
    let section = document.add_headed("Lines");
    for line in 0..lines {
        section.line(format!("line {line} of many"));
    }
    document
}

fn sizes(parts: &[ChatPart]) -> Vec<usize> {
    let size = |part: &ChatPart| {
        let title = (HTML.span)(Style::Bold, &part.title);
        title.len() + 1 + part.lines.join("\n").len()
    };
    parts.iter().map(size).collect()
}

#[test]
fn short_document_is_one_message() {
    let parts = parts(&long(2), &HTML, Language::English);
    assert_eq!(parts.len(), 1);
    assert_eq!(parts[0].title, "✅ transship: all is well");
    let expected = ["<b>Lines</b>", "line 0 of many", "line 1 of many"];
    assert_eq!(parts[0].lines, expected);
}

#[test]
fn title_without_lines_is_a_message() {
    let parts = parts(
        &Document::new("all is well", Severity::Bad),
        &HTML,
        Language::English,
    );
    assert_eq!(parts.len(), 1);
    assert_eq!(parts[0].title, "❌ transship: all is well");
    assert!(parts[0].lines.is_empty());
}

#[test]
fn long_document_is_split_at_line_ends() {
    let parts = parts(&long(60), &HTML, Language::English);
    assert!(parts.len() > 2, "{parts:#?}");
    for (at, part) in parts.iter().enumerate() {
        let number = format!(" ({}/{})", at + 1, parts.len());
        assert!(part.title.ends_with(&number), "{}", part.title);
    }
    assert!(sizes(&parts).iter().all(|size| *size <= HTML.limit));
    let lines: Vec<_> = parts.into_iter().flat_map(|part| part.lines).collect();
    assert_eq!(lines.len(), 61);
    assert_eq!(lines[60], "line 59 of many");
}

#[test]
fn sends_at_most_ten_messages() {
    let parts = parts(&long(2_000), &HTML, Language::English);
    assert_eq!(parts.len(), MOST_PARTS);
    assert!(sizes(&parts).iter().all(|size| *size <= HTML.limit));
    let shown: usize = parts.iter().map(|part| part.lines.len() - 1).sum();
    let last = parts[9].lines.last().unwrap();
    // One line more is the heading, and nine parts have no line about what is left out.
    let left_out = 2_001 - (shown + 9);
    assert_eq!(*last, format!("… and {left_out} more lines"));
    let chinese = self::parts(&long(2_000), &HTML, Language::Chinese);
    let last = chinese[9].lines.last().unwrap();
    assert!(
        last.starts_with("… 另有 ") && last.ends_with(" 行"),
        "{last}"
    );
}

#[test]
fn long_line_is_cut_outside_of_markup() {
    let mut document = Document::new("transship", Severity::Bad);
    let line = Line::default().plain("reason: ").code("&镜像".repeat(200));
    document.add_section().line(line).line("after it");
    let parts = parts(&document, &HTML, Language::English);
    assert!(sizes(&parts).iter().all(|size| *size <= HTML.limit));
    let lines: Vec<_> = parts.into_iter().flat_map(|part| part.lines).collect();
    assert_eq!(lines.len(), 2);
    let code = lines[0].strip_prefix("reason: <code>").unwrap();
    let code = code.strip_suffix("</code>…").unwrap();
    let text = code.replace("&amp;", "&");
    assert!(!code.replace("&amp;", "").contains('&'), "{code}");
    assert!("&镜像".repeat(200).starts_with(&text) && text.len() > 100);
    assert_eq!(lines[1], "after it");
}

#[test]
fn long_title_is_repeated_below() {
    let title = "transship: 转运 ".repeat(20);
    let parts = parts(
        &Document::new(&title, Severity::Warning),
        &HTML,
        Language::English,
    );
    assert!(parts[0].title.ends_with('…'));
    assert!(parts[0].title.chars().count() < 150);
    assert!(parts[0].lines[0].starts_with("<b>transship: 转运"));
}

#[test]
fn table_row_is_a_line() {
    let mut document = Document::new("x", Severity::Good);
    let mut table = Table::new(["mirror", "lag", "reason"]);
    table
        .row(["kubernetes", "1h", "429"])
        .row(["镜像", "", "none"]);
    document.add_headed("Behind").table(table);
    document.add_section().line("last");
    let parts = parts(&document, &HTML, Language::English);
    let expected = [
        "<b>Behind</b>",
        "• <b>kubernetes</b> · lag 1h · reason 429",
        "• <b>镜像</b> · reason none",
        "",
        "last",
    ];
    assert_eq!(parts[0].lines, expected);
}

/// Whether tags and entities are whole and matched.
fn is_sound(html: &str) -> bool {
    let mut open = None;
    let mut rest = html;
    while let Some(at) = rest.find(['<', '&']) {
        rest = &rest[at..];
        let known = ["<b>", "</b>", "<code>", "</code>", "&amp;", "&lt;"];
        let Some(found) = known.iter().find(|known| rest.starts_with(**known)) else {
            return false;
        };
        match (found.strip_prefix("</"), found.strip_prefix('<')) {
            (Some(name), _) if open == Some(name) => open = None,
            (Some(_), _) => return false,
            (None, Some(name)) if open.is_none() => open = Some(name),
            (None, Some(_)) => return false,
            (None, None) => {}
        }
        rest = &rest[found.len()..];
    }
    open.is_none()
}

fn any_line() -> impl Strategy<Value = Line> {
    let span = (0..3, "[a-c<>&镜😀*` ]{0,200}");
    prop::collection::vec(span, 0..4).prop_map(|spans| {
        let spans = spans.into_iter();
        spans.fold(Line::default(), |line, (style, text)| match style {
            0 => line.plain(text),
            1 => line.bold(text),
            _ => line.code(text),
        })
    })
}

proptest! {
    #[test]
    fn every_message_is_valid_and_in_limit(
        title in "[a-z<&镜 ]{0,200}",
        lines in prop::collection::vec(any_line(), 0..30),
    ) {
        let mut document = Document::new(title, Severity::Warning);
        let section = document.add_section();
        lines.into_iter().for_each(|line| { section.line(line); });
        let tight = Dialect { limit: 1_500, line_limit: 120, ..HTML };
        let parts = parts(&document, &tight, Language::English);
        prop_assert!(!parts.is_empty() && parts.len() <= MOST_PARTS);
        for (size, part) in sizes(&parts).iter().zip(&parts) {
            prop_assert!(*size <= 1_500, "{size}");
            for line in &part.lines {
                prop_assert!(line.len() <= 120 && is_sound(line), "{line}");
            }
        }
    }
}
