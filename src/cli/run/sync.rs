//! `transship sync`: one run, now.

use std::io::IsTerminal as _;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    cli::{
        Exit, Global, Refusal, context, error, output,
        run::{progress::Bars, summary},
    },
    store::RunResult,
    sync::RunReport,
    telemetry,
};

/// Arguments of `sync`.
#[derive(Debug, clap::Args)]
pub(crate) struct SyncArgs {
    /// Which mirrors; default: all
    mirrors: Vec<String>,
}

impl SyncArgs {
    pub(crate) async fn run(&self, global: &Global) -> anyhow::Result<Exit> {
        let bars = (std::io::stderr().is_terminal() && !global.quiet).then(Bars::new);
        let writer = match &bars {
            Some(bars) => bars.log_writer(),
            None => telemetry::LogWriter::new(std::io::stderr),
        };
        telemetry::init(global.level(), global.log_format, writer);
        let config = context::config_with_demand(global).await?;
        let mirrors = context::mirrors(&config, &self.mirrors)?;
        let pipeline = context::pipeline(&config).await?;
        let report = {
            let run = pipeline.sync.run(&config, &mirrors);
            let watch = async {
                match &bars {
                    Some(bars) => bars.follow(pipeline.sync.activity()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                report = run => report,
                () = watch => unreachable!("it lasts as long as the run"),
                () = interrupt(&pipeline.stop) => return Err(Refusal::Interrupted.into()),
            }
        };
        drop(bars);
        let closed = pipeline.close().await;
        if global.json {
            output::json(&report)?;
        } else {
            summary::print(&report)?;
        }
        match closed {
            Ok(()) => Ok(exit(&report)),
            // What the run did is reported already.
            Err(error) => Ok(error::tell(&error)),
        }
    }
}

fn exit(report: &RunReport) -> Exit {
    match report.result() {
        RunResult::Ok => Exit::Ok,
        _ if report.is_unauthorized() => Exit::Unauthorized,
        RunResult::Partial | RunResult::Interrupted => Exit::SomeFailed,
        RunResult::Failed => Exit::AllFailed,
    }
}

/// Stops the run on the first signal; returns on the second.
pub(crate) async fn interrupt(stop: &CancellationToken) {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    for count in 0..2 {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        if count == 0 {
            tracing::warn!("interrupted: in-flight transfers end here, the next run resumes them");
            stop.cancel();
        }
    }
}
