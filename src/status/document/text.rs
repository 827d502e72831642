//! A document for a terminal.

use unicode_width::UnicodeWidthStr as _;

use crate::status::document::{Block, Document, Line, Section, Table};

/// What stands between the columns of a table.
const GAP: &str = "  ";

pub(crate) fn render(document: &Document) -> String {
    let mut text = format!("{}\n", document.title);
    for section in &document.sections {
        text.push('\n');
        render_section(section, &mut text);
    }
    text
}

fn render_section(section: &Section, text: &mut String) {
    let indent = match &section.heading {
        Some(heading) => {
            text.push_str(heading);
            text.push('\n');
            GAP
        }
        None => "",
    };
    for block in &section.blocks {
        match block {
            Block::Line(line) => push_line(text, indent, &words(line)),
            Block::Table(table) => {
                rows(table).for_each(|row| push_line(text, indent, &row));
            }
        }
    }
}

fn push_line(text: &mut String, indent: &str, line: &str) {
    text.push_str(format!("{indent}{line}").trim_end());
    text.push('\n');
}

fn words(line: &Line) -> String {
    line.spans().iter().map(|span| span.text.as_str()).collect()
}

/// The rows of a table, headers first, with aligned columns.
fn rows(table: &Table) -> impl Iterator<Item = String> {
    let all = || std::iter::once(&table.headers).chain(&table.rows);
    let widest = |column: usize| all().map(|row| row[column].width()).max();
    let widths: Vec<usize> = (0..table.headers.len()).filter_map(widest).collect();
    all().map(move |row| {
        let cells = row.iter().zip(&widths);
        // Padding by characters would misalign scripts whose characters are two columns wide.
        let padded = cells.map(|(cell, width)| format!("{cell}{:1$}", "", width - cell.width()));
        padded.collect::<Vec<_>>().join(GAP)
    })
}
