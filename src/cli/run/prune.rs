//! `transship prune`: deletes tags that are no longer mirrored, or says which it would.

use crate::registry::ErrorClass;
use chrono::DateTime;
use chrono_tz::Tz;
use serde_json::json;

use crate::{
    cli::{Exit, Global, context, output},
    sync::{Apply, Decision, MirrorPruning, PrunedTag},
};

/// Arguments of `prune`.
#[derive(Debug, clap::Args)]
pub(crate) struct PruneArgs {
    /// Which mirrors; default: all that have `prune`
    mirrors: Vec<String>,
    /// Delete what is due; without it nothing is written
    #[arg(long)]
    apply: bool,
    /// Delete even more of a repository at once than `max_share` allows
    #[arg(long, alias = "however-many")]
    ignore_max_share: bool,
}

impl PruneArgs {
    pub(crate) async fn run(&self, global: &Global) -> anyhow::Result<Exit> {
        let config = context::config_with_demand(global).await?;
        let mirrors = context::mirrors(&config, &self.mirrors)?;
        let pipeline = context::pipeline(&config).await?;
        let apply = match (self.apply, self.ignore_max_share) {
            (false, _) => Apply::Nothing,
            (true, false) => Apply::Planned,
            (true, true) => Apply::IgnoreMaxShare,
        };
        let prunings = pipeline.sync.prune(&config, &mirrors, apply).await;
        pipeline.close().await?;
        let is_named = !self.mirrors.is_empty();
        if global.json {
            output::json(&json!({ "is_applied": self.apply, "mirrors": prunings }))?;
        } else {
            let shown = prunings.iter().filter(|pruning| pruning.is_set || is_named);
            let mut shown = shown.peekable();
            if shown.peek().is_none() {
                output::line("no mirror has `prune`: nothing is ever deleted")?;
            }
            shown.try_for_each(|pruning| self.print(pruning, config.timezone))?;
        }
        Ok(self.exit(&prunings))
    }

    fn exit(&self, prunings: &[MirrorPruning]) -> Exit {
        let errors = || prunings.iter().flat_map(|pruning| &pruning.errors);
        let tags = || {
            let targets = prunings.iter().flat_map(|pruning| &pruning.targets);
            targets.flat_map(|target| &target.tags)
        };
        let is_refused = |tag: &PrunedTag| matches!(tag.tag.fate, Decision::Refuse { .. });
        if errors().any(|error| error.class == ErrorClass::Auth) {
            Exit::Unauthorized
        } else if errors().next().is_some() {
            match tags().next() {
                Some(_) => Exit::SomeFailed,
                None => Exit::AllFailed,
            }
        } else if self.apply && tags().any(is_refused) {
            Exit::SomeFailed
        } else {
            Exit::Ok
        }
    }

    fn print(&self, pruning: &MirrorPruning, zone: Tz) -> anyhow::Result<()> {
        if !pruning.is_set {
            return output::line(&format!("{}: it has no `prune`", pruning.name));
        }
        output::line(&format!("{}:", pruning.name))?;
        let mut is_refused = false;
        for target in &pruning.targets {
            output::line(&format!("  {}", target.repository))?;
            let widths = target.tags.iter().map(|tag| tag.tag.tag.as_str().len());
            let width = widths.max().unwrap_or(0);
            for tag in &target.tags {
                is_refused |= matches!(tag.tag.fate, Decision::Refuse { .. });
                let (name, digest) = (tag.tag.tag.as_str(), tag.tag.digest.short());
                let line = format!("    {name:width$}  {digest}  {}", self.words(tag, zone));
                output::line(&line)?;
            }
        }
        if pruning.targets.is_empty() && pruning.errors.is_empty() {
            output::line("  every tag is mirrored")?;
        }
        if is_refused {
            output::line(
                "  help: if that is meant, run `transship prune --apply --ignore-max-share`; else \
                 look at the source, and at the selectors",
            )?;
        }
        for error in &pruning.errors {
            let line = format!(
                "  failed {}\n    {} ({})",
                error.reference, error.message, error.class
            );
            output::line(&line)?;
        }
        Ok(())
    }

    fn words(&self, tag: &PrunedTag, zone: Tz) -> String {
        let time = |at: i64| {
            let time = DateTime::from_timestamp(at, 0).unwrap_or_default();
            time.with_timezone(&zone).format("%Y-%m-%d %H:%M")
        };
        let cause = tag.tag.cause;
        match (&tag.tag.fate, &tag.left) {
            (_, Some(reason)) => format!("stays: {reason}"),
            (Decision::Leave { left }, None) => format!("stays: {left}"),
            (Decision::Delete, None) if tag.is_deleted => format!("deleted: {cause}"),
            (Decision::Delete, None) => format!("delete: {cause} since {}", time(tag.tag.since)),
            (Decision::Wait { until }, None) => format!("stays until {}: {cause}", time(*until)),
            (Decision::Keep, None) => format!("stays, one of the newest: {cause}"),
            (Decision::Refuse { new, of }, None) => {
                format!("stays, {new} of {of} tags at once look like a mistake: {cause}")
            }
        }
    }
}
