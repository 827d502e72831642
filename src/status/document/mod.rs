//! The text of reports and alarms, before it is rendered for a channel.
//!
//! No text in a document has a line end or another control character: whatever an error message
//! held, a line stays a line in every rendering.

mod html;
mod markdown;
mod text;

use serde::{Deserialize, Serialize};
use transship_text::one_line_of;
use url::Url;

/// Most bytes of a line.
const LONGEST_LINE: usize = 4 << 10;

/// A verdict, and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    title: String,
    mood: Severity,
    sections: Vec<Section>,
}

/// How serious it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// All is well.
    Good,
    /// Somebody should look at it.
    Warning,
    /// Somebody has to act.
    Bad,
}

/// A part of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    heading: Option<String>,
    blocks: Vec<Block>,
}

/// What a section is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// A line of text.
    Line(Line),
    /// A table.
    Table(Table),
}

/// One line of text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line(Vec<Span>);

/// A stretch of text in one style.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    style: Style,
    text: String,
}

/// How a stretch of text looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As it is.
    Plain,
    /// Emphasized.
    Bold,
    /// A name or a value, letter by letter.
    Code,
    /// A URL that leads to more.
    Link,
}

/// Rows of text under headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    headers: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Severity {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Bad => "bad",
        }
    }
}

impl Document {
    /// A document of which only the verdict is known.
    pub fn new(title: impl AsRef<str>, mood: Severity) -> Self {
        Self {
            title: one_line_of(title.as_ref(), LONGEST_LINE),
            mood,
            sections: Vec::new(),
        }
    }

    /// Adds a section without a heading.
    pub fn add_section(&mut self) -> &mut Section {
        self.push(None)
    }

    /// Adds a section under a heading.
    pub fn add_headed(&mut self, heading: impl AsRef<str>) -> &mut Section {
        self.push(Some(one_line_of(heading.as_ref(), LONGEST_LINE)))
    }

    fn push(&mut self, heading: Option<String>) -> &mut Section {
        self.sections.push_mut(Section {
            heading,
            blocks: Vec::new(),
        })
    }

    /// The verdict.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// How serious it is.
    pub fn mood(&self) -> Severity {
        self.mood
    }

    /// What the verdict rests on.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// Text for a terminal: aligned tables, no colours. Ends with a line end.
    pub fn to_text(&self) -> String {
        text::render(self)
    }

    /// Markdown as GitHub reads it. Ends with a line end.
    pub fn to_markdown(&self) -> String {
        markdown::render(self)
    }

    /// A fragment of HTML: one `article`, with the mood as a class. Ends with a line end.
    pub fn to_html(&self) -> String {
        html::render(self)
    }
}

impl Section {
    /// Adds a line.
    pub fn line(&mut self, line: impl Into<Line>) -> &mut Self {
        self.blocks.push(Block::Line(line.into()));
        self
    }

    /// Adds a table.
    pub fn table(&mut self, table: Table) -> &mut Self {
        self.blocks.push(Block::Table(table));
        self
    }

    /// Its heading.
    pub fn heading(&self) -> Option<&str> {
        self.heading.as_deref()
    }

    /// What it is made of.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }
}

impl Line {
    /// The line, with plain text after it.
    pub fn plain(self, text: impl AsRef<str>) -> Self {
        self.with(Style::Plain, text.as_ref())
    }

    /// The line, with emphasized text after it.
    pub fn bold(self, text: impl AsRef<str>) -> Self {
        self.with(Style::Bold, text.as_ref())
    }

    /// The line, with a name or a value after it.
    pub fn code(self, text: impl AsRef<str>) -> Self {
        self.with(Style::Code, text.as_ref())
    }

    /// The line, with a link after it.
    pub fn link(self, url: &Url) -> Self {
        self.with(Style::Link, url.as_str())
    }

    fn with(mut self, style: Style, text: &str) -> Self {
        if !text.is_empty() {
            let text = one_line_of(text, LONGEST_LINE);
            self.0.push(Span { style, text });
        }
        self
    }

    /// What it is made of; nothing of it is empty.
    pub fn spans(&self) -> &[Span] {
        &self.0
    }
}

impl From<&str> for Line {
    fn from(text: &str) -> Self {
        Self::default().plain(text)
    }
}

impl From<String> for Line {
    fn from(text: String) -> Self {
        Self::default().plain(text)
    }
}

impl Span {
    /// How it looks.
    pub fn style(&self) -> Style {
        self.style
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl Table {
    /// A table without rows.
    pub fn new<T: AsRef<str>>(headers: impl IntoIterator<Item = T>) -> Self {
        Self {
            headers: cells(headers),
            rows: Vec::new(),
        }
    }

    /// Adds a row: as many cells as there are headers; what is missing is empty, and what is too
    /// much is left out.
    pub fn row<T: AsRef<str>>(&mut self, row: impl IntoIterator<Item = T>) -> &mut Self {
        let mut row = cells(row);
        row.resize(self.headers.len(), String::new());
        self.rows.push(row);
        self
    }

    /// The headers.
    pub fn headers(&self) -> &[String] {
        &self.headers
    }

    /// The rows.
    pub fn rows(&self) -> &[Vec<String>] {
        &self.rows
    }
}

fn cells<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Vec<String> {
    let texts = texts.into_iter();
    texts
        .map(|text| one_line_of(text.as_ref(), LONGEST_LINE))
        .collect()
}

#[cfg(test)]
mod tests;
