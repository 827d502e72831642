//! What is wrong with a `mirror.toml`: every problem with its place and a remedy.

use std::{
    fmt,
    ops::Range,
    path::{Path, PathBuf},
};

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report,
    Severity,
};
use serde::Serialize;

use crate::config::parse::redact::without_secrets;

/// Problems that are drawn; the others are counted.
const DRAWN: usize = 20;

/// One mistake, or one doubtful thing, in the file.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    /// Bytes of the file that it is about.
    pub(crate) span: Range<usize>,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do.
    pub(crate) help: String,
    /// Whether the file can be used all the same.
    pub(crate) is_warning: bool,
}

impl Problem {
    fn place(&self) -> (usize, usize) {
        (self.span.start, self.span.end)
    }
}

/// Everything found wrong while one file is read.
#[derive(Default)]
pub(crate) struct Problems {
    found: Vec<Problem>,
    /// Bytes of the file that are never shown.
    hidden: Vec<Range<usize>>,
    /// Values that no message repeats.
    secrets: Vec<String>,
    /// Secrets in a file that everybody can read, and what each is: one remedy serves all of them.
    readable: Vec<(Range<usize>, &'static str)>,
}

impl Problems {
    /// Notes a part of the file that is never shown.
    pub(crate) fn hide(&mut self, span: Range<usize>) {
        self.hidden.push(span);
    }

    /// The same for a part whose value is in no message either.
    pub(crate) fn hide_everywhere(&mut self, span: Range<usize>, value: &str) {
        self.hide(span);
        // A shorter one is a part of many words.
        if value.len() >= 4 {
            self.secrets.push(value.to_owned());
            // As the messages of others quote it.
            self.secrets.push(value.escape_debug().to_string());
        }
    }

    /// Notes an error.
    pub(crate) fn error(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.found.push(Problem {
            span,
            message: message.into(),
            help: help.into(),
            is_warning: false,
        });
    }

    /// Notes something that works and should not stay so.
    pub(crate) fn warning(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.error(span, message, help);
        if let Some(last) = self.found.last_mut() {
            last.is_warning = true;
        }
    }

    /// Notes a secret in a file that everybody on this machine can read; `what` is such as "a
    /// password".
    pub(crate) fn readable_secret(&mut self, span: Range<usize>, what: &'static str) {
        if !self.readable.iter().any(|(known, _)| *known == span) {
            self.readable.push((span, what));
        }
    }

    /// Makes one warning of all secrets that everybody can read, at the first one.
    fn warn_of_readable_secrets(&mut self) {
        let mut readable = std::mem::take(&mut self.readable);
        readable.sort_by_key(|(span, _)| span.start);
        let more = readable.len().saturating_sub(1);
        let Some((span, what)) = readable.into_iter().next() else {
            return;
        };
        let secrets = match more {
            0 => what.to_owned(),
            1 => format!("{what} and one more secret"),
            more => format!("{what} and {more} more secrets"),
        };
        let message = format!("{secrets} in a file that every user of this machine can read");
        let help = "use { env = \"NAME\" }, { file = \"/path\" } or { credential = \"name\" }, \
                    or chmod 600 the file";
        self.warning(span, message, help);
    }

    /// How many were noted so far.
    pub(crate) fn len(&self) -> usize {
        self.found.len()
    }

    /// Whether anything forbids the use of the file.
    pub(crate) fn has_errors(&self) -> bool {
        self.found.iter().any(|problem| !problem.is_warning)
    }

    /// Ends the collecting: what was found, in the order of the file.
    pub(crate) fn into_report(mut self, path: &Path, text: &str) -> ProblemReport {
        self.warn_of_readable_secrets();
        self.found.sort_by(|a, b| {
            a.place()
                .cmp(&b.place())
                .then_with(|| a.message.cmp(&b.message))
        });
        self.found
            .dedup_by(|a, b| a.place() == b.place() && a.message == b.message);
        // The longest first: one may be a part of another.
        self.secrets
            .sort_by_key(|value| std::cmp::Reverse(value.len()));
        for problem in &mut self.found {
            problem.message = without_secrets(&problem.message, &self.secrets);
            problem.help = without_secrets(&problem.help, &self.secrets);
        }
        ProblemReport {
            path: path.into(),
            text: masked(text, &self.hidden),
            problems: self.found,
        }
    }
}

/// The text with `*` for each byte of the hidden parts, so that every place stays where it is.
fn masked(text: &str, hidden: &[Range<usize>]) -> String {
    let is_hidden = |at: usize| hidden.iter().any(|span| span.contains(&at));
    text.char_indices()
        .fold(String::new(), |mut shown, (at, c)| {
            match c != '\n' && is_hidden(at) {
                true => shown.extend(std::iter::repeat_n('*', c.len_utf8())),
                false => shown.push(c),
            }
            shown
        })
}

/// The problems of one file, which print with file, line and caret.
#[derive(Clone, Debug, Default)]
pub struct ProblemReport {
    path: PathBuf,
    text: String,
    problems: Vec<Problem>,
}

/// One problem for machines.
#[derive(Debug, Serialize)]
pub struct ProblemRecord {
    /// The file.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// `error` or `warning`.
    pub severity: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

impl ProblemReport {
    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// The message of the first error.
    pub fn first_summary(&self) -> Option<&str> {
        let mut errors = self.problems.iter().filter(|problem| !problem.is_warning);
        errors.next().map(|problem| problem.message.as_str())
    }

    /// How many errors there are.
    pub fn verdict(&self) -> String {
        let errors = self.problems.iter().filter(|problem| !problem.is_warning);
        let path = self.path.display();
        match errors.count() {
            1 => format!("1 error in {path}"),
            errors => format!("{errors} errors in {path}"),
        }
    }

    /// The problems as records.
    pub fn records(&self) -> Vec<ProblemRecord> {
        self.problems
            .iter()
            .map(|problem| self.record(problem))
            .collect()
    }

    fn record(&self, problem: &Problem) -> ProblemRecord {
        let before = &self.text[..problem.span.start.min(self.text.len())];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        ProblemRecord {
            file: self.path.display().to_string(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            severity: if problem.is_warning {
                "warning"
            } else {
                "error"
            },
            message: problem.message.clone(),
            remedy: problem.help.clone(),
        }
    }

    fn render(&self, problem: &Problem, out: &mut impl fmt::Write) -> fmt::Result {
        let diagnostic = MietteDiagnostic::new(problem.message.clone())
            .with_severity(if problem.is_warning {
                Severity::Warning
            } else {
                Severity::Error
            })
            .with_help(problem.help.clone())
            .with_label(LabeledSpan::underline(problem.span.clone()));
        let source = NamedSource::new(self.path.display().to_string(), self.text.clone());
        let report = Report::new(diagnostic).with_source_code(source);
        GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
            .with_links(false)
            .with_context_lines(1)
            .with_width(100)
            .render_report(out, report.as_ref())
    }
}

impl fmt::Display for ProblemReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in self.problems.iter().take(DRAWN) {
            self.render(problem, f)?;
            writeln!(f)?;
        }
        match self.problems.len().saturating_sub(DRAWN) {
            0 => {}
            more => writeln!(f, "{more} more are not shown; `check --json` lists all")?,
        }
        match self.problems.iter().any(|problem| !problem.is_warning) {
            true => writeln!(f, "{}", self.verdict()),
            false => Ok(()),
        }
    }
}
