//! What the answers of a registry mean: a verdict and a remedy for each check, and their print.

use crate::registry::ErrorClass;
use serde::Serialize;

use crate::{
    cli::{Exit, output},
    oci::RegistryName,
    registry::{Error, Identity, ManifestProbe, Reachability},
};

/// The answer to a question, and what it was about; a question that was not asked has none.
type Probe<T> = Option<(String, Result<T, Error>)>;

/// What a registry answered.
#[derive(Debug)]
pub(crate) struct Findings {
    pub(crate) reach: Reachability,
    pub(crate) identity: Option<Identity>,
    /// About a repository: how many tags its first page has.
    pub(crate) listed: Probe<Option<usize>>,
    /// About a reference.
    pub(crate) pulled: Probe<Option<ManifestProbe>>,
    /// About a repository.
    pub(crate) pushed: Probe<()>,
}

/// What is said of one registry.
#[derive(Debug, Serialize)]
pub(crate) struct RegistryReport {
    registry: String,
    roles: Vec<&'static str>,
    result: CheckVerdict,
    checks: Vec<RegistryCheck>,
}

/// One check.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct RegistryCheck {
    check: &'static str,
    verdict: CheckVerdict,
    message: String,
    class: Option<ErrorClass>,
    remedy: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum CheckVerdict {
    Ok,
    Failed,
    Skipped,
}

impl Findings {
    /// Those of a registry that could not be asked.
    pub(crate) fn unreachable(reach: Reachability) -> Self {
        Self {
            reach,
            identity: None,
            listed: None,
            pulled: None,
            pushed: None,
        }
    }

    /// The refusal of the login, wherever it came first.
    fn refusal(&self) -> Option<&Error> {
        let listed = self.listed.iter().filter_map(|(_, r)| r.as_ref().err());
        let pulled = self.pulled.iter().filter_map(|(_, r)| r.as_ref().err());
        let pushed = self.pushed.iter().filter_map(|(_, r)| r.as_ref().err());
        listed
            .chain(pulled)
            .chain(pushed)
            .find(|error| error.class() == ErrorClass::Auth)
    }
}

/// The verdicts on a registry.
pub(crate) fn report(
    name: &RegistryName,
    is_source: bool,
    is_target: bool,
    findings: &Findings,
) -> RegistryReport {
    let roles = [(is_source, "source"), (is_target, "target")];
    let checks = vec![
        reach(findings),
        tls(findings),
        login(name, findings),
        list(findings, is_source),
        pull(findings, is_source),
        push(findings),
        quota(findings),
    ];
    let has_failed = checks
        .iter()
        .any(|check| check.verdict == CheckVerdict::Failed);
    RegistryReport {
        registry: name.to_string(),
        roles: roles
            .iter()
            .filter(|(is, _)| *is)
            .map(|(_, role)| *role)
            .collect(),
        result: if has_failed {
            CheckVerdict::Failed
        } else {
            CheckVerdict::Ok
        },
        checks,
    }
}

fn ok(check: &'static str, message: impl Into<String>) -> RegistryCheck {
    RegistryCheck {
        check,
        verdict: CheckVerdict::Ok,
        message: message.into(),
        class: None,
        remedy: None,
    }
}

fn skipped(check: &'static str, message: &str) -> RegistryCheck {
    RegistryCheck {
        verdict: CheckVerdict::Skipped,
        ..ok(check, message)
    }
}

fn failed(
    check: &'static str,
    class: ErrorClass,
    message: impl Into<String>,
    remedy: impl Into<String>,
) -> RegistryCheck {
    RegistryCheck {
        verdict: CheckVerdict::Failed,
        class: Some(class),
        remedy: Some(remedy.into()),
        ..ok(check, message)
    }
}

/// What failed for a cause that is not the check's own.
fn failed_for(check: &'static str, error: &Error, own_remedy: String) -> RegistryCheck {
    let remedy = match error.class() {
        ErrorClass::Auth => return skipped(check, "the login comes first"),
        ErrorClass::Throttled | ErrorClass::Quota => {
            "wait as long as it says; an account has a larger quota than nobody".into()
        }
        ErrorClass::Network | ErrorClass::Stalled | ErrorClass::Server => {
            "try again; then look at the link, or `proxy`".into()
        }
        _ => own_remedy,
    };
    failed(check, error.class(), error.kind.to_string(), remedy)
}

fn reach(findings: &Findings) -> RegistryCheck {
    match &findings.reach {
        Reachability::Reachable | Reachability::NoTls(_) => ok("reach", "it answers"),
        Reachability::Unreachable(error) => failed(
            "reach",
            error.class(),
            error.kind.to_string(),
            match error.class() {
                ErrorClass::Protocol => "the message names what is wrong; mend that first",
                _ => {
                    "check its name and the way there; `proxy`, `ip` and `endpoint` name another way"
                }
            },
        ),
    }
}

fn tls(findings: &Findings) -> RegistryCheck {
    match &findings.reach {
        Reachability::Reachable => match &findings.identity {
            Some(identity) if !identity.is_secure => skipped("tls", "plain HTTP, as configured"),
            _ => ok("tls", "its certificate is trusted"),
        },
        Reachability::Unreachable(_) => skipped("tls", "not reached"),
        Reachability::NoTls(error) => failed(
            "tls",
            error.class(),
            error.kind.to_string(),
            "add `ca_file` with its CA; or `plain_http = true` where it speaks no TLS",
        ),
    }
}

fn login(name: &RegistryName, findings: &Findings) -> RegistryCheck {
    let Some(identity) = &findings.identity else {
        return skipped("login", "not reached");
    };
    let table = format!("[registries.\"{name}\"]");
    match findings.refusal() {
        Some(error) => {
            let remedy = match identity.has_login {
                true => format!("check the login in {table}, and whether it has ended"),
                false => format!("add `username` and `password`, or `login`, to {table}"),
            };
            failed("login", ErrorClass::Auth, error.kind.to_string(), remedy)
        }
        None if identity.has_login && !identity.is_asked_for => {
            ok("login", format!("{}; it asks for no login", identity.who))
        }
        None => ok("login", identity.who.clone()),
    }
}

fn list(findings: &Findings, is_source: bool) -> RegistryCheck {
    match &findings.listed {
        None if findings.identity.is_none() => skipped("list", "not reached"),
        None => skipped("list", "every tag is named"),
        Some((repository, Ok(Some(count)))) => ok(
            "list",
            format!(
                "{repository}: {} on its first page",
                output::count(*count as u64, "tag")
            ),
        ),
        Some((repository, Ok(None))) if is_source => failed(
            "list",
            ErrorClass::NotFound,
            format!("{repository} is not there"),
            "check the name in `from`",
        ),
        Some((repository, Ok(None))) => ok("list", format!("{repository} is not there yet")),
        Some((repository, Err(error))) => {
            let remedy = format!("check the name {repository}, and what the account may read");
            failed_for("list", error, remedy)
        }
    }
}

fn pull(findings: &Findings, is_source: bool) -> RegistryCheck {
    match &findings.pulled {
        None if findings.identity.is_none() => skipped("pull", "not reached"),
        None if is_source => skipped("pull", "no tag to ask for"),
        None => skipped("pull", "no source"),
        Some((reference, Ok(Some(_)))) => ok("pull", reference.as_str()),
        Some((reference, Ok(None))) => failed(
            "pull",
            ErrorClass::NotFound,
            format!("{reference} is not there"),
            "check the name and the tag in `from`",
        ),
        Some((reference, Err(error))) => {
            let remedy = format!("let the account read {reference}, or check the name");
            failed_for("pull", error, remedy)
        }
    }
}

fn push(findings: &Findings) -> RegistryCheck {
    match &findings.pushed {
        None if findings.identity.is_none() => skipped("push", "not reached"),
        None => skipped("push", "no target"),
        Some((repository, Ok(()))) => ok("push", format!("an upload to {repository} may begin")),
        Some((repository, Err(error))) => {
            let made_first = "some registries want its project, namespace or repository made first";
            let more = error.remedy.as_deref().unwrap_or(made_first);
            let remedy = format!("let the account push to {repository}; {more}");
            failed_for("push", error, remedy)
        }
    }
}

fn quota(findings: &Findings) -> RegistryCheck {
    let Some((_, Ok(Some(ManifestProbe { quota: Some(quota) })))) = &findings.pulled else {
        return skipped("quota", "none is reported");
    };
    let limit = quota
        .limit
        .map_or(String::new(), |limit| format!(" of {limit}"));
    let window = quota.window.map_or(String::new(), |window| {
        format!(" in {}", humantime::format_duration(window))
    });
    let message = format!("{}{limit} pulls left{window}", quota.remaining);
    match quota.remaining {
        0 => failed(
            "quota",
            ErrorClass::Throttled,
            message,
            "wait; an account has a larger quota than nobody",
        ),
        _ => ok("quota", message),
    }
}

/// How a command that printed these ends.
pub(crate) fn exit(reports: &[RegistryReport]) -> Exit {
    let has_failed = |report: &&RegistryReport| report.result == CheckVerdict::Failed;
    let mut checks = reports.iter().flat_map(|report| &report.checks);
    match reports.iter().filter(has_failed).count() {
        0 => Exit::Ok,
        _ if checks.any(|check| check.class == Some(ErrorClass::Auth)) => Exit::Unauthorized,
        failed if failed == reports.len() => Exit::AllFailed,
        _ => Exit::SomeFailed,
    }
}

/// The reports as text.
pub(crate) fn lines(reports: &[RegistryReport]) -> Vec<String> {
    let mut lines = Vec::new();
    for report in reports {
        lines.push(format!("{} ({})", report.registry, report.roles.join(", ")));
        for check in &report.checks {
            let verdict = match check.verdict {
                CheckVerdict::Ok => "ok",
                CheckVerdict::Failed => "FAILED",
                CheckVerdict::Skipped => "-",
            };
            lines.push(format!(
                "  {:<5}  {verdict:<6}  {}",
                check.check, check.message
            ));
            lines.extend(
                check
                    .remedy
                    .iter()
                    .map(|remedy| format!("{:17}help: {remedy}", "")),
            );
        }
    }
    lines
}

#[cfg(test)]
mod tests;
