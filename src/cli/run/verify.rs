//! `transship verify`: whether targets hold what was written to them, whole and right.

use crate::registry::ErrorClass;
use std::collections::BTreeMap;

use serde_json::json;

use crate::{
    cli::{Exit, Global, Refusal, context, output},
    store::Store,
    sync::{Fault, Finding, MirrorVerification, Reach},
};

/// References that are named for one message; the others are counted.
const NAMED: usize = 3;

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    /// Which mirrors; default: all
    mirrors: Vec<String>,
    /// Read every blob of the targets, too, and compare its bytes with its digest
    #[arg(long)]
    deep: bool,
}

impl VerifyArgs {
    pub(crate) async fn run(&self, global: &Global) -> anyhow::Result<Exit> {
        let config = context::config_with_demand(global).await?;
        let mirrors = context::mirrors(&config, &self.mirrors)?;
        if matches!(Store::open_existing(&config.state_path).await, Ok(None)) {
            let said = "nothing was mirrored yet, so nothing was verified";
            let path = config.state_path.display().to_string();
            return Err(Refusal::NoStore { said, path }.into());
        }
        let pipeline = context::pipeline(&config).await?;
        let reach = if self.deep {
            Reach::Bytes
        } else {
            Reach::Presence
        };
        let verifications = {
            let verify = pipeline.sync.verify(&mirrors, reach);
            tokio::select! {
                verifications = verify => verifications,
                () = crate::cli::run::sync::interrupt(&pipeline.stop) => {
                    return Err(Refusal::Interrupted.into())
                }
            }
        };
        let is_cut = pipeline.stop.is_cancelled();
        pipeline.close().await?;
        if global.json {
            let is_deep = self.deep;
            output::json(
                &json!({ "is_deep": is_deep, "is_cut": is_cut, "mirrors": verifications }),
            )?;
        } else {
            verifications.iter().try_for_each(print)?;
        }
        Ok(exit(&verifications))
    }
}

fn exit(verifications: &[MirrorVerification]) -> Exit {
    let faults = || {
        let findings = verifications.iter().flat_map(|mirror| &mirror.findings);
        findings.map(|finding| &finding.fault)
    };
    let is_open = |fault: &Fault| matches!(fault, Fault::Unreachable { .. });
    let is_auth = |fault: &Fault| {
        matches!(
            fault,
            Fault::Unreachable {
                class: ErrorClass::Auth,
                ..
            }
        )
    };
    let verified: u64 = verifications.iter().map(|mirror| mirror.verified).sum();
    let tags: u64 = verifications.iter().map(|mirror| mirror.tags).sum();
    if faults().any(is_auth) {
        Exit::Unauthorized
    } else if verified == 0 && faults().all(is_open) {
        Exit::AllFailed
    } else if faults().next().is_some() || verified < tags {
        Exit::SomeFailed
    } else {
        Exit::Ok
    }
}

fn print(mirror: &MirrorVerification) -> anyhow::Result<()> {
    if mirror.tags == 0 && mirror.findings.is_empty() {
        let nothing = "nothing was mirrored yet, so nothing was verified";
        return output::line(&format!("{}: {nothing}", mirror.name));
    }
    let mut parts = vec![format!(
        "{} of {} verified",
        mirror.verified,
        output::count(mirror.tags, "tag")
    )];
    parts.push(output::count(mirror.blobs, "blob"));
    if mirror.read_blobs > 0 {
        parts.push(format!("{} read", mirror.read_blobs));
    }
    parts.push(match mirror.findings.len() as u64 {
        0 => "all is well".into(),
        count => output::count(count, "finding"),
    });
    output::line(&format!("{}: {}", mirror.name, parts.join(", ")))?;
    let mut by_message: BTreeMap<String, Vec<&Finding>> = BTreeMap::new();
    for finding in &mirror.findings {
        let message = format!("{} ({})", finding.fault, finding.fault.class().as_str());
        by_message.entry(message).or_default().push(finding);
    }
    for (message, findings) in by_message {
        let named = findings.iter().take(NAMED);
        let named: Vec<&str> = named.map(|finding| finding.reference.as_str()).collect();
        let more = match findings.len() - named.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        output::line(&format!("  {}{more}\n    {message}", named.join(", ")))?;
        if let Some(first) = findings.first() {
            output::line(&format!("    help: {}", first.remedy()))?;
        }
    }
    Ok(())
}
