//! A document as Markdown, in [GitHub's flavour](https://github.github.com/gfm/).

use crate::status::document::{Block, Document, Line, Section, Span, Style, Table};

pub(crate) fn render(document: &Document) -> String {
    let mut text = format!("# {}\n", escape(&document.title));
    for section in &document.sections {
        render_section(section, &mut text);
    }
    text
}

fn render_section(section: &Section, text: &mut String) {
    if let Some(heading) = &section.heading {
        text.push_str(&format!("\n## {}\n", escape(heading)));
    }
    let mut is_in_paragraph = false;
    for block in &section.blocks {
        match block {
            Block::Line(line) if is_in_paragraph => {
                // Without a hard break, the two would be one line.
                text.truncate(text.trim_end().len());
                text.push_str(&format!("\\\n{}\n", words(line)));
            }
            Block::Line(line) => text.push_str(&format!("\n{}\n", words(line))),
            Block::Table(table) => render_table(table, text),
        }
        is_in_paragraph = matches!(block, Block::Line(line) if !line.spans().is_empty());
    }
}

fn render_table(table: &Table, text: &mut String) {
    let row = |cells: &[String]| -> String {
        let cells = cells.iter().map(|cell| format!(" {} |", escape(cell)));
        format!("|{}\n", cells.collect::<String>())
    };
    text.push('\n');
    text.push_str(&row(&table.headers));
    text.push_str(&format!("|{}\n", " --- |".repeat(table.headers.len())));
    for cells in &table.rows {
        text.push_str(&row(cells));
    }
}

fn words(line: &Line) -> String {
    let text: String = line.spans().iter().map(word).collect();
    // At the start of a line, these would make a list.
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    match text[digits..].chars().next() {
        Some('-' | '+') if digits == 0 => format!("\\{text}"),
        Some('.' | ')') if digits > 0 => format!("{}\\{}", &text[..digits], &text[digits..]),
        _ => text,
    }
}

fn word(span: &Span) -> String {
    match span.style {
        Style::Plain => escape(&span.text),
        Style::Bold => format!("**{}**", escape(&span.text)),
        Style::Code => code(&span.text),
        Style::Link => format!("<{}>", span.text),
    }
}

/// Text between more backticks than it has in a row itself.
fn code(text: &str) -> String {
    let runs = text.split(|c| c != '`').map(str::len);
    let fence = "`".repeat(runs.max().unwrap_or(0) + 1);
    match text.contains('`') {
        true => format!("{fence} {text} {fence}"),
        false => format!("{fence}{text}{fence}"),
    }
}

/// Text in which nothing has a meaning of its own.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\`*_[]<>#|~&".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
