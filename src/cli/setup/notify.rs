//! `transship notify`: do reports and alarms arrive?

use std::{collections::HashMap, sync::Arc};

use serde_json::json;

use crate::{
    cli::{Exit, Global, context, output},
    config::{Config, Topic},
    locales::{Language, Localized},
    metrics::Metrics,
    notify::{Audience, Delivery, Message, Notifier},
    status::{Document, Line, Severity, Table},
};

/// Arguments of `notify`.
#[derive(Debug, clap::Args)]
pub(crate) struct NotifyArgs {
    #[command(subcommand)]
    action: NotifyCommand,
}

#[derive(Debug, clap::Subcommand)]
enum NotifyCommand {
    /// Send a trial message, and tell for each channel whether it was taken
    Test(NotifyTestArgs),
}

#[derive(Debug, clap::Args)]
struct NotifyTestArgs {
    /// Which channels; default: all
    #[arg(value_name = "CHANNEL")]
    channels: Vec<String>,
}

impl NotifyArgs {
    pub(crate) async fn run(&self, global: &Global) -> anyhow::Result<Exit> {
        let NotifyCommand::Test(test) = &self.action;
        let config = context::config(global)?;
        let names = context::channels(&config, &test.channels)?;
        let notifier = Notifier::new(&config, Arc::new(Metrics::new()?))?;
        let deliveries = notifier.deliver_to(&names, &trial()).await;
        if global.json {
            print_json(&config, &deliveries)?;
        } else {
            print(&deliveries)?;
        }
        Ok(exit(&deliveries))
    }
}

/// A message with what reports have: a verdict, a table, code, and text that is not ASCII.
fn trial() -> Message {
    let document = Localized::new(trial_document);
    Message {
        topic: Topic::Test,
        audience: Audience::Everyone,
        json: json!({ "title": document.title(), "mood": document.mood() }),
        document,
    }
}

fn trial_document(language: Language) -> Document {
    let words = language.words();
    let mut document = Document::new(words.notify.trial, Severity::Good);
    document.add_section().line(words.notify.trial_reads);
    let mut table = Table::new([words.report.mirror, words.report.state, words.report.lag]);
    let (equal, late) = (language.duration(0), language.duration(4320));
    table
        .row(["kubernetes", words.state.in_sync, &equal])
        .row(["监控", words.state.behind, &late]);
    let from = Line::default().plain(words.notify.trial_made_up).plain(" ");
    document
        .add_headed(words.notify.trial_table)
        .table(table)
        .line(from.code("transship notify test"));
    document
}

fn print(deliveries: &[Delivery]) -> anyhow::Result<()> {
    let names = deliveries.iter().map(|d| d.channel.chars().count());
    let width = names.max().unwrap_or(0);
    for Delivery { channel, result } in deliveries {
        match result {
            Ok(()) => output::line(&format!("{channel:width$}  ok"))?,
            Err(error) => {
                output::line(&format!("{channel:width$}  FAILED  {error}"))?;
                output::line(&format!("{:width$}  help: {}", "", error.remedy()))?;
            }
        }
    }
    Ok(())
}

fn print_json(config: &Config, deliveries: &[Delivery]) -> anyhow::Result<()> {
    let channels = config.channels.iter();
    let kinds: HashMap<_, _> = channels.map(|c| (&c.name, c.service.kind())).collect();
    let records = deliveries.iter().map(|Delivery { channel, result }| {
        let error = result.as_ref().err();
        json!({
            "channel": channel,
            "kind": kinds.get(channel),
            "result": if error.is_none() { "ok" } else { "failed" },
            "message": error.map(ToString::to_string),
            "remedy": error.map(|error| error.remedy()),
        })
    });
    output::json(&json!({ "channels": records.collect::<Vec<_>>() }))
}

fn exit(deliveries: &[Delivery]) -> Exit {
    match deliveries.iter().filter(|d| d.result.is_err()).count() {
        0 => Exit::Ok,
        failed if failed == deliveries.len() => Exit::AllFailed,
        _ => Exit::SomeFailed,
    }
}
