//! A document as a fragment of HTML.

use crate::status::document::{Block, Document, Section, Span, Style, Table};

pub(crate) fn render(document: &Document) -> String {
    let sections: String = document.sections.iter().map(section).collect();
    format!(
        "<article class=\"report {}\">\n<h1>{}</h1>\n{sections}</article>\n",
        document.mood.as_str(),
        escape(&document.title),
    )
}

fn section(section: &Section) -> String {
    let mut html = String::from("<section>\n");
    if let Some(heading) = &section.heading {
        html.push_str(&format!("<h2>{}</h2>\n", escape(heading)));
    }
    for block in &section.blocks {
        match block {
            Block::Line(line) => {
                let words: String = line.spans().iter().map(word).collect();
                html.push_str(&format!("<p>{words}</p>\n"));
            }
            Block::Table(table) => html.push_str(&render_table(table)),
        }
    }
    html.push_str("</section>\n");
    html
}

fn render_table(table: &Table) -> String {
    let row = |cells: &[String], tag: &str| -> String {
        let cells = cells.iter();
        let cells = cells.map(|cell| format!("<{tag}>{}</{tag}>", escape(cell)));
        format!("<tr>{}</tr>\n", cells.collect::<String>())
    };
    let rows: String = table.rows.iter().map(|cells| row(cells, "td")).collect();
    format!(
        "<table>\n<thead>\n{}</thead>\n<tbody>\n{rows}</tbody>\n</table>\n",
        row(&table.headers, "th"),
    )
}

fn word(span: &Span) -> String {
    let text = escape(&span.text);
    match span.style {
        Style::Plain => text,
        Style::Bold => format!("<b>{text}</b>"),
        Style::Code => format!("<code>{text}</code>"),
        Style::Link => format!("<a href=\"{text}\">{text}</a>"),
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}
