//! `transship completions`: completions for a shell.

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

use crate::cli::{Arguments, Exit, output};

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// For which shell
    shell: Shell,
}

impl CompletionsArgs {
    pub(crate) fn run(&self) -> anyhow::Result<Exit> {
        let mut script = Vec::new();
        generate(
            self.shell,
            &mut Arguments::command(),
            "transship",
            &mut script,
        );
        output::line(String::from_utf8_lossy(&script).trim_end())?;
        Ok(Exit::Ok)
    }
}
