//! A document as messages of a chat: lines, no tables, and as many messages as the limit of the
//! service asks for.

use crate::{
    locales::Language,
    status::{Block, Document, Line, Section, Severity, Style, Table},
};

/// Most messages that one document becomes: robots that write more in a minute are silenced.
const MOST_PARTS: usize = 10;
/// Most characters of a title.
const TITLE_LENGTH: usize = 120;
const ELLIPSIS: &str = "…";

/// How a service writes, and how much it takes.
pub(crate) struct Dialect {
    /// Text in a style, in the service's markup; nothing in it has a meaning of its own.
    pub(crate) span: fn(Style, &str) -> String,
    /// What ends a line.
    pub(crate) line_end: &'static str,
    /// How large the service finds a text in its markup.
    pub(crate) size: fn(&str) -> usize,
    /// The largest message, its title included.
    pub(crate) limit: usize,
    /// The largest line.
    pub(crate) line_limit: usize,
}

/// One message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ChatPart {
    /// What it is about, as plain text; numbered where there are several.
    pub(crate) title: String,
    /// The lines, in the markup.
    pub(crate) lines: Vec<String>,
}

/// What a document is called where others write, too.
pub(crate) fn subject(document: &Document) -> String {
    let title = document.title();
    // A robot may accept only messages with a keyword.
    match title.to_lowercase().contains("transship") {
        true => title.to_owned(),
        false => format!("transship: {title}"),
    }
}

/// The messages that a document becomes.
pub(crate) fn parts(document: &Document, dialect: &Dialect, language: Language) -> Vec<ChatPart> {
    let sign = match document.mood() {
        Severity::Good => "✅",
        Severity::Warning => "⚠️",
        Severity::Bad => "❌",
    };
    let subject = subject(document);
    let title = match cut(&subject, |text| text.chars().count() <= TITLE_LENGTH) {
        Some(short) => format!("{sign} {short}{ELLIPSIS}"),
        None => format!("{sign} {subject}"),
    };
    let mut lines = Vec::new();
    if title.ends_with(ELLIPSIS) {
        lines.push(Line::default().bold(&subject));
    }
    lines.extend(self::lines(document));
    let left_out = |count| format!("{ELLIPSIS} {}", language.words().notify.more_lines(count));
    let size = |text: &str| (dialect.size)(text) + (dialect.size)(dialect.line_end);
    let reserved = size(&(dialect.span)(
        Style::Bold,
        &numbered(&title, MOST_PARTS, MOST_PARTS),
    )) + size(&left_out(u64::MAX));
    let limit = dialect.limit.saturating_sub(reserved);
    let line_limit = limit.min(dialect.line_limit);
    let lines = lines.iter().map(|line| dialect.line(line, line_limit));
    let mut groups = dialect.group(lines.collect(), limit);
    if groups.len() > MOST_PARTS {
        let rest = groups.split_off(MOST_PARTS);
        let lost = rest.iter().flatten().filter(|line| !line.is_empty());
        let lost = left_out(lost.count() as u64);
        if let Some(last) = groups.last_mut() {
            last.push(lost);
        }
    }
    let count = groups.len();
    let groups = groups.into_iter().enumerate();
    groups
        .map(|(at, lines)| ChatPart {
            title: numbered(&title, at + 1, count),
            lines,
        })
        .collect()
}

fn numbered(title: &str, number: usize, count: usize) -> String {
    match count {
        1 => title.to_owned(),
        _ => format!("{title} ({number}/{count})"),
    }
}

impl Dialect {
    /// A line in the markup, cut where it is too large.
    fn line(&self, line: &Line, limit: usize) -> String {
        let spans = line.spans().iter();
        let whole: String = spans.map(|s| (self.span)(s.style(), s.text())).collect();
        if (self.size)(&whole) <= limit {
            return whole;
        }
        // What does not fit is left out before it is written, so that no markup is torn.
        let ellipsis = (self.span)(Style::Plain, ELLIPSIS);
        let fits = |text: &str| (self.size)(text) + (self.size)(&ellipsis) <= limit;
        let mut written = String::new();
        for span in line.spans() {
            let with = |text: &str| format!("{written}{}", (self.span)(span.style(), text));
            match cut(span.text(), |text| fits(&with(text))) {
                None => written = with(span.text()),
                Some("") => break,
                Some(start) => {
                    written = with(start);
                    break;
                }
            }
        }
        written + &ellipsis
    }

    /// Lines in as few groups as the limit allows. No group begins or ends with an empty line.
    pub(crate) fn group(&self, lines: Vec<String>, limit: usize) -> Vec<Vec<String>> {
        let line_end = (self.size)(self.line_end);
        let mut groups: Vec<Vec<String>> = Vec::new();
        let (mut group, mut used) = (Vec::new(), 0);
        for line in lines {
            let size = (self.size)(&line) + line_end;
            if used + size > limit && !group.is_empty() {
                groups.push(std::mem::take(&mut group));
                used = 0;
            }
            if !(line.is_empty() && group.is_empty()) {
                used += size;
                group.push(line);
            }
        }
        groups.push(group);
        for group in &mut groups {
            while group.last().is_some_and(String::is_empty) {
                group.pop();
            }
        }
        // A title without lines is a message, too.
        let has_lines = groups.iter().any(|group| !group.is_empty());
        groups.retain(|group| !group.is_empty() || !has_lines);
        groups
    }
}

/// The longest start of a text that fits, unless the whole text does.
pub(crate) fn cut(text: &str, fits: impl Fn(&str) -> bool) -> Option<&str> {
    if fits(text) {
        return None;
    }
    let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    let fitting = ends.partition_point(|end| fits(&text[..*end]));
    Some(match fitting.checked_sub(1) {
        Some(last) => &text[..ends[last]],
        None => "",
    })
}

/// The lines of a document without its title.
fn lines(document: &Document) -> Vec<Line> {
    let mut lines = Vec::new();
    for section in document.sections() {
        if !lines.is_empty() {
            lines.push(Line::default());
        }
        lines.extend(lines_of(section));
    }
    lines
}

fn lines_of(section: &Section) -> Vec<Line> {
    let heading = section.heading().map(|text| Line::default().bold(text));
    let blocks = section.blocks().iter().flat_map(|block| match block {
        Block::Line(line) => vec![line.clone()],
        Block::Table(table) => rows(table),
    });
    heading.into_iter().chain(blocks).collect()
}

/// A line for each row: telephones are too narrow for tables, and most services know none.
fn rows(table: &Table) -> Vec<Line> {
    let row = |cells: &Vec<String>| {
        let mut cells = table.headers().iter().zip(cells);
        let first = cells.next().map_or("", |(_, cell)| cell);
        let line = Line::default().plain("• ").bold(first);
        let filled = cells.filter(|(_, cell)| !cell.is_empty());
        filled.fold(line, |line, (header, cell)| {
            line.plain(format!(" · {header} {cell}"))
        })
    };
    table.rows().iter().map(row).collect()
}

#[cfg(test)]
mod tests;
