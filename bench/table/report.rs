//! The tables of a run of the benchmark, section by section.

use std::fs;

use super::{HEAD, Row, machine, results};

/// The tables of a run; each row is also printed as soon as it is there.
pub struct Report {
    /// The command that was run.
    command: String,
    sections: Vec<ReportSection>,
    wrong: Vec<String>,
}

/// A part of the report, as it stands in `RESULTS.md`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportSection {
    pub title: String,
    /// What follows the line of the title.
    pub text: String,
}

impl Report {
    pub fn new(command: String) -> Self {
        Self {
            command,
            sections: Vec::new(),
            wrong: Vec::new(),
        }
    }

    /// Begins a section with the usual table.
    pub fn section(&mut self, title: &str, words: &str) {
        self.open(title, &format!("{words}\n\n{HEAD}"));
    }

    /// Begins a section with any text.
    pub fn open(&mut self, title: &str, text: &str) {
        println!("\n## {title}");
        self.sections.push(ReportSection {
            title: title.to_owned(),
            text: String::new(),
        });
        let now = chrono::Utc::now().format("%Y-%m-%d %H:%M UTC");
        let (command, load) = (&self.command, machine::load());
        self.say(&format!(
            "\n`{command}`, {now}, load {load:.1} before it.\n\n{text}"
        ));
    }

    /// Reports rows of the usual table.
    pub fn rows(&mut self, rows: &[Row]) {
        for row in rows {
            self.say(&row.markdown());
            if row.is_wrong() {
                self.wrong.push(row.case.clone());
            }
        }
    }

    /// Takes note of what must not be.
    pub fn fail(&mut self, what: &str) {
        self.wrong.push(what.to_owned());
    }

    /// Adds to the section that was begun last.
    pub fn say(&mut self, text: &str) {
        print!("{text}");
        if let Some(section) = self.sections.last_mut() {
            section.text.push_str(text);
        }
    }

    /// The cases in which transship failed or a tag of its target is not the source's.
    pub fn wrong(&self) -> &[String] {
        &self.wrong
    }

    /// Puts the sections into a file in the place of those that have the same titles.
    pub fn write(&self, path: &str, machine: &str) {
        let before = fs::read_to_string(path).unwrap_or_default();
        fs::write(path, results::merged(&before, &self.sections, machine)).unwrap();
    }
}
