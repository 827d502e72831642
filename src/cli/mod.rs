//! The commands; one file each.

mod cluster;
pub(crate) mod context;
pub(crate) mod error;
mod import;
pub(crate) mod output;
pub(crate) mod run;
pub(crate) mod setup;
pub(crate) mod show;

use std::{io::IsTerminal as _, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{
    cli::{
        cluster::ClusterArgs,
        error::Refusal,
        run::{mute, plan, prune, serve, sync, trigger, verify},
        setup::{
            backup, check, client_config, completions, doctor, healthcheck, init, man, notify,
        },
        show::{explain, report, status},
    },
    telemetry::{self, LogFormat},
};

/// Keeps container images mirrored: compares what upstream registries and target registries hold,
/// and copies what is missing.
#[derive(Debug, Parser)]
#[command(name = "transship", version, max_term_width = 100)]
pub struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Global {
    /// The mirrors and registries; default: ./mirror.toml, else /etc/transship/mirror.toml
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print one JSON object on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Log more
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// Log only errors, and show no progress
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// How log lines look
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "FORMAT",
        default_value_t
    )]
    pub(crate) log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a first mirror.toml, from three answers
    Init(init::InitArgs),
    /// Validate mirror.toml: every mistake at once, with its place and a remedy
    Check(check::CheckArgs),
    /// Show what a sync would do and why, for each tag; write nothing
    Plan(plan::PlanArgs),
    /// Run mirrors once, now
    Sync(sync::SyncArgs),
    /// Compare targets with the store and the source: tags, manifests, blobs; the next sync repairs
    Verify(verify::VerifyArgs),
    /// Show which tags at targets are no longer mirrored, and delete them where that is asked for
    Prune(prune::PruneArgs),
    /// Show every mirror: how far it lags, its last runs, what is behind and why
    Status(status::StatusArgs),
    /// Run mirrors on their schedules, with metrics, a status page and reports
    Serve(serve::ServeArgs),
    /// Ask the running daemon for a run of a mirror, or of one image
    Trigger(trigger::TriggerArgs),
    /// Show and control the workers that share their work over a database
    Cluster(ClusterArgs),
    /// Send no alarms of a mirror or a registry for a time
    Mute(mute::MuteArgs),
    /// Send the alarms of a mirror or a registry again
    Unmute(mute::UnmuteArgs),
    /// Show what the last 24 hours brought
    Report(report::ReportArgs),
    /// Tell whether an image is mirrored, where to, and what to add if it is not
    Explain(explain::ExplainArgs),
    /// Print a mirror.toml for another tool's file, for a list of images, for manifests, or a preset
    Import(import::Import),
    /// Try the channels that reports and alarms go to
    Notify(notify::NotifyArgs),
    /// Print the files that make a client pull from the mirror, or check that it can
    ClientConfig(client_config::ClientConfigArgs),
    /// Look for what keeps transship from its work on this machine: disk, network, clock, unit
    Doctor(doctor::DoctorArgs),
    /// Ask the daemon whether it works; exit with 1 if not
    Healthcheck(healthcheck::HealthcheckArgs),
    /// Copy the store to a file, while the daemon runs
    Backup(backup::BackupArgs),
    /// Put a copy of the store back
    Restore(backup::RestoreArgs),
    /// Print completions for a shell
    Completions(completions::CompletionsArgs),
    /// Print the manual page: transship man | man -l -
    Man(man::ManArgs),
}

/// How the program ends; the numbers are promised to its users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All is well.
    Ok = 0,
    /// Some actions failed.
    SomeFailed = 1,
    /// Every action failed, or none could be started.
    AllFailed = 2,
    /// A registry refused the credentials.
    Unauthorized = 3,
    /// There are differences, and `--exit-code` of `plan` or `status` asked for them.
    Differences = 4,
    /// The command line is wrong.
    Usage = 64,
    /// mirror.toml is wrong; systemd does not restart on it.
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Parses the command line, or says what is wrong with it.
pub fn parse() -> Result<Arguments, ExitCode> {
    Arguments::try_parse().map_err(|error| {
        // Nothing can be done about a terminal that takes no text.
        let _ = error.print();
        match error.use_stderr() {
            true => Exit::Usage.into(),
            false => ExitCode::SUCCESS,
        }
    })
}

/// Runs the command, and tells why it could not be run.
pub async fn run(arguments: Arguments) -> Exit {
    let Arguments { global, command } = arguments;
    // A second call finds the provider installed, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    if !matches!(command, Command::Sync(_)) {
        let writer = telemetry::LogWriter::new(std::io::stderr);
        telemetry::init(global.level(), global.log_format, writer);
    }
    let ended = match command {
        Command::Init(init) => init.run(&global),
        Command::Check(check) => check.run(&global).await,
        Command::Plan(plan) => plan.run(&global).await,
        Command::Sync(sync) => sync.run(&global).await,
        Command::Verify(verify) => verify.run(&global).await,
        Command::Prune(prune) => prune.run(&global).await,
        Command::Status(status) => status.run(&global).await,
        Command::Serve(serve) => serve.run(&global).await,
        Command::Trigger(trigger) => trigger.run(&global).await,
        Command::Cluster(cluster) => cluster.run(&global).await,
        Command::Mute(mute) => mute.run(&global).await,
        Command::Unmute(unmute) => unmute.run(&global).await,
        Command::Report(report) => report.run(&global).await,
        Command::Explain(explain) => explain.run(&global).await,
        Command::Import(import) => import.run(&global),
        Command::Notify(notify) => notify.run(&global).await,
        Command::ClientConfig(client_config) => client_config.run(&global).await,
        Command::Doctor(doctor) => doctor.run(&global).await,
        Command::Healthcheck(healthcheck) => healthcheck.run(&global).await,
        Command::Backup(backup) => backup.run(&global).await,
        Command::Restore(restore) => restore.run(&global).await,
        Command::Completions(completions) => completions.run(),
        Command::Man(man) => man.run(),
    };
    ended.unwrap_or_else(|error| {
        if global.json {
            error::print(&error);
        }
        error::tell(&error)
    })
}

impl Global {
    /// On a terminal, progress shows what runs. Elsewhere log lines do.
    fn level(&self) -> &'static str {
        match (self.verbose, self.quiet) {
            (true, _) => "debug",
            (_, true) => "error",
            _ if std::io::stderr().is_terminal() => "warn",
            _ => "info",
        }
    }
}
