//! What `doctor` finds: a verdict, and a remedy where something is to be done.

use serde::Serialize;

/// How it stands with one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DoctorVerdict {
    /// Nothing is to be done.
    Ok,
    /// It works, and would work better.
    Warning,
    /// It keeps transship from its work.
    Failed,
    /// It cannot be looked at here.
    Skipped,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct DoctorFinding {
    pub(crate) check: &'static str,
    pub(crate) verdict: DoctorVerdict,
    pub(crate) message: String,
    pub(crate) remedy: Option<String>,
}

impl DoctorFinding {
    pub(crate) fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self {
            check,
            verdict: DoctorVerdict::Ok,
            message: message.into(),
            remedy: None,
        }
    }

    pub(crate) fn skipped(check: &'static str, message: impl Into<String>) -> Self {
        Self {
            verdict: DoctorVerdict::Skipped,
            ..Self::ok(check, message)
        }
    }

    pub(crate) fn warning(
        check: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            verdict: DoctorVerdict::Warning,
            remedy: Some(remedy.into()),
            ..Self::ok(check, message)
        }
    }

    pub(crate) fn failed(
        check: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            verdict: DoctorVerdict::Failed,
            ..Self::warning(check, message, remedy)
        }
    }

    /// As lines of text.
    pub(crate) fn lines(&self) -> Vec<String> {
        let verdict = match self.verdict {
            DoctorVerdict::Ok => "ok",
            DoctorVerdict::Warning => "warning",
            DoctorVerdict::Failed => "FAILED",
            DoctorVerdict::Skipped => "-",
        };
        let mut lines = vec![format!("{:<11} {verdict:<7}  {}", self.check, self.message)];
        let remedies = self.remedy.iter().flat_map(|remedy| remedy.lines());
        lines.extend(remedies.enumerate().map(|(at, line)| match at {
            0 => format!("{:21}help: {line}", ""),
            _ => format!("{:27}{line}", ""),
        }));
        lines
    }
}
