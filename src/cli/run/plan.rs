//! `transship plan`: what a sync would do, and why.

use std::collections::HashSet;

use crate::registry::ErrorClass;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    cli::{Exit, Global, context, output},
    oci::Tag,
    store::Store,
    sync::{Action, Dropped, MirrorPlan, OrderedBy, OrderedTag, Plan, Refused, TargetPlan},
};

/// Dropped or kept tags that are named.
const NAMED: usize = 3;

/// Arguments of `plan`.
#[derive(Debug, clap::Args)]
pub(crate) struct PlanArgs {
    /// Which mirrors; default: all
    mirrors: Vec<String>,
    /// End with 4 when there is something to do
    #[arg(long)]
    exit_code: bool,
    /// Show the order by which `latest` chose, newest first
    #[arg(long)]
    order: bool,
    /// Show only what would change, and only mirrors and targets in which something would
    #[arg(long)]
    changed: bool,
}

/// What all plans together would do, in tags.
#[derive(Debug, Default, Serialize)]
struct PlanTotals {
    to_do: u64,
    unchanged: u64,
    to_delete: u64,
    failed: u64,
    /// Bytes of the images to copy whose size is known, each once.
    bytes_to_copy: u64,
    /// Images to copy whose size is not known.
    of_unknown_size: u64,
}

impl PlanTotals {
    fn of(plans: &[MirrorPlan]) -> Self {
        let mut totals = Self::default();
        let routes = || plans.iter().flat_map(|plan| &plan.routes);
        totals.failed += routes().filter(|route| route.is_err()).count() as u64;
        for target in routes().flatten().flat_map(|plan| &plan.targets) {
            for step in &target.steps {
                match step.action {
                    Action::Skip { .. } => totals.unchanged += 1,
                    Action::Fail { .. } => totals.failed += 1,
                    _ => totals.to_do += 1,
                }
            }
            totals.to_delete += target.deleted().count() as u64;
        }
        totals
    }

    /// Adds up the images to copy. Their sizes are known if they were copied to another place, or
    /// in part: a plan reads no manifest for that.
    async fn with_sizes(mut self, plans: &[MirrorPlan], store: &Store) -> anyhow::Result<Self> {
        let routes = plans.iter().flat_map(|plan| &plan.routes).flatten();
        let steps = routes.flat_map(|plan| &plan.targets).flat_map(|t| &t.steps);
        let copies = steps.filter(|step| matches!(step.action, Action::Copy { .. }));
        let images: HashSet<_> = copies.filter_map(|step| step.digest.as_ref()).collect();
        for image in images {
            match store.size(image).await? {
                Some(bytes) => self.bytes_to_copy = self.bytes_to_copy.saturating_add(bytes),
                None => self.of_unknown_size += 1,
            }
        }
        Ok(self)
    }

    fn line(&self) -> String {
        let mut line = format!(
            "total: {}, {} unchanged",
            output::count(self.to_do, "tag") + " to do",
            self.unchanged
        );
        for (count, what) in [(self.to_delete, "to delete"), (self.failed, "failed")] {
            if count > 0 {
                line += &format!(", {count} {what}");
            }
        }
        if self.bytes_to_copy > 0 {
            line += &format!(", images of {} to copy", output::bytes(self.bytes_to_copy));
        }
        if self.of_unknown_size > 0 {
            let images = output::count(self.of_unknown_size, "image");
            line += &format!(", {images} of unknown size");
        }
        line
    }
}

impl PlanArgs {
    pub(crate) async fn run(&self, global: &Global) -> anyhow::Result<Exit> {
        let config = context::config_with_demand(global).await?;
        let mirrors = context::mirrors(&config, &self.mirrors)?;
        let pipeline = context::pipeline(&config).await?;
        let plans = pipeline.sync.plan(&config, &mirrors).await;
        pipeline.close().await?;
        let mut totals = PlanTotals::of(&plans);
        if let Some(store) = Store::open_existing(&config.state_path).await? {
            totals = totals.with_sizes(&plans, &store).await?;
        }
        if global.json {
            output::json(&json!({
                "mirrors": plans.iter().map(|plan| as_json(plan, self.order)).collect::<Vec<_>>(),
                "totals": totals,
            }))?;
        } else {
            plans.iter().try_for_each(|plan| self.print(plan))?;
            output::line(&totals.line())?;
        }
        Ok(self.exit(&plans))
    }

    fn print(&self, plan: &MirrorPlan) -> anyhow::Result<()> {
        let mut routes = plan.routes.iter();
        let is_shown =
            !self.changed || routes.any(|route| route.as_ref().is_ok_and(Plan::has_differences));
        if is_shown {
            output::line(&format!("{}:", plan.name))?;
        }
        for route in &plan.routes {
            match route {
                Ok(route) if self.changed && !route.has_differences() => {}
                Ok(route) => {
                    self.print_route(route)?;
                    if self.order {
                        print_order(route)?;
                    }
                }
                // What a script reads from standard output is only the plan.
                Err(refused) => tracing::error!("{}: {}", refused.source, refused.error),
            }
        }
        Ok(())
    }

    fn print_route(&self, plan: &Plan) -> anyhow::Result<()> {
        let is_quiet = |target: &&TargetPlan| {
            let mut steps = target.steps.iter();
            target.deleted().next().is_none()
                && steps.all(|step| matches!(step.action, Action::Skip { .. }))
        };
        for target in &plan.targets {
            if !(self.changed && is_quiet(&target)) {
                self.print_target(plan, target)?;
            }
        }
        match self.changed {
            true => Ok(()),
            false => print_left_out(plan),
        }
    }

    fn print_target(&self, plan: &Plan, target: &TargetPlan) -> anyhow::Result<()> {
        output::line(&format!("  {} -> {}", plan.source, target.repository))?;
        let steps = target.steps.iter();
        let width = steps.map(|step| step.tag.as_str().len()).max().unwrap_or(0);
        let is_skip = |action: &Action| matches!(action, Action::Skip { .. });
        for step in &target.steps {
            if self.changed && is_skip(&step.action) {
                continue;
            }
            let digest = step.digest.as_ref().map_or("-", |digest| digest.short());
            let tag = step.tag.as_str();
            output::line(&format!("    {tag:width$}  {digest:12}  {}", step.action))?;
        }
        let stays = |tag: &&Tag| target.deleted().all(|deleted| deleted.tag != **tag);
        let orphaned = target.orphaned.iter().filter(stays);
        let names: Vec<&str> = orphaned.map(Tag::as_str).collect();
        if !names.is_empty() {
            let names = names.join(", ");
            output::line(&format!("    no longer at the source, kept: {names}"))?;
        }
        for tag in target.deleted() {
            let (name, digest) = (tag.tag.as_str(), tag.digest.short());
            let cause = &tag.cause;
            output::line(&format!("    {name:width$}  {digest:12}  delete: {cause}"))?;
        }
        let steps = target.steps.iter();
        let unchanged = steps.filter(|step| is_skip(&step.action)).count() as u64;
        let to_do = output::count(target.steps.len() as u64 - unchanged, "tag");
        output::line(&format!("    {to_do} to do, {unchanged} unchanged"))
    }

    fn exit(&self, plans: &[MirrorPlan]) -> Exit {
        let routes = || plans.iter().flat_map(|plan| &plan.routes);
        let targets = routes().flatten().flat_map(|plan| &plan.targets);
        let mut actions = targets
            .flat_map(|target| &target.steps)
            .map(|step| &step.action);
        let failures: Vec<ErrorClass> = routes().flat_map(failures).collect();
        if failures.contains(&ErrorClass::Auth) {
            Exit::Unauthorized
        } else if !failures.is_empty() {
            let any_compared = actions.any(|action| !matches!(action, Action::Fail { .. }));
            if any_compared {
                Exit::SomeFailed
            } else {
                Exit::AllFailed
            }
        } else if self.exit_code && routes().flatten().any(Plan::has_differences) {
            Exit::Differences
        } else {
            Exit::Ok
        }
    }
}

/// The classes of what could not be compared.
fn failures(route: &Result<Plan, Refused>) -> Vec<ErrorClass> {
    let plan = match route {
        Ok(plan) => plan,
        Err(refused) => return vec![refused.error.class()],
    };
    let actions = plan
        .targets
        .iter()
        .flat_map(|target| &target.steps)
        .map(|step| &step.action);
    let class = |action: &Action| match action {
        Action::Fail { class, .. } => Some(*class),
        _ => None,
    };
    actions.filter_map(class).collect()
}

fn as_json(plan: &MirrorPlan, with_order: bool) -> Value {
    let routes = plan.routes.iter().map(|route| match route {
        Ok(plan) => {
            let mut value = json!(plan);
            if with_order {
                value["order"] = json!(plan.order);
            }
            value
        }
        Err(refused) => json!({
            "source": refused.source,
            "class": refused.error.class(),
            "error": refused.error.to_string(),
        }),
    });
    json!({ "name": &*plan.name, "routes": routes.collect::<Vec<_>>() })
}

/// Which tags are not in the plan, and which are in it in doubt.
fn print_left_out(plan: &Plan) -> anyhow::Result<()> {
    plan.dropped.iter().try_for_each(print_dropped)?;
    if let Some(referrers) = plan.referrers {
        output::line(&format!(
            "    referrers: {} to look at, {} left out by their types",
            referrers.wanted, referrers.left_out
        ))?;
    }
    if !plan.absent.is_empty() {
        let tags = output::count(plan.absent.len() as u64, "tag");
        output::line(&format!(
            "    listed by the source and not there: {tags} ({})",
            some(&plan.absent, plan.absent.len())
        ))?;
    }
    if !plan.undated.is_empty() {
        let tags = output::count(plan.undated.len() as u64, "tag");
        output::line(&format!(
            "    kept although of unknown age: {tags} ({})",
            some(&plan.undated, plan.undated.len())
        ))?;
    }
    Ok(())
}

/// The order by which `latest` chose, newest first.
fn print_order(plan: &Plan) -> anyhow::Result<()> {
    if plan.order.is_empty() {
        return output::line("    order: none, `latest` is not set");
    }
    output::line("    order of `latest`, newest first:")?;
    for OrderedTag { tag, by } in &plan.order {
        let by = match by {
            OrderedBy::Version => "by version",
            OrderedBy::Time => "by push time",
            OrderedBy::Name => "by name",
        };
        output::line(&format!("      {tag}  {by}"))?;
    }
    Ok(())
}

/// The first few of `count` tags.
fn some(tags: &[Tag], count: usize) -> String {
    let first: Vec<&str> = tags.iter().take(NAMED).map(Tag::as_str).collect();
    let more = if count > first.len() { ", ..." } else { "" };
    first.join(", ") + more
}

fn print_dropped(dropped: &Dropped) -> anyhow::Result<()> {
    let count = output::count(dropped.count as u64, "tag");
    let named = match dropped.count {
        0 => String::new(),
        count => format!(" ({})", some(&dropped.first, count)),
    };
    output::line(&format!(
        "    dropped by {}: {count}{named}",
        dropped.selector
    ))
}
