//! `transship man`: the manual page.

use clap::{Arg, Command, CommandFactory as _};
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};

use crate::cli::{Arguments, Exit, output};

/// How the program ends, as `Exit` has it.
const STATUSES: [(Exit, &str); 7] = [
    (Exit::Ok, "All is well."),
    (Exit::SomeFailed, "Some actions failed."),
    (
        Exit::AllFailed,
        "Every action failed, or none could be started.",
    ),
    (Exit::Unauthorized, "A registry refused the credentials."),
    (
        Exit::Differences,
        "There are differences, and --exit-code of plan or status asked for them.",
    ),
    (Exit::Usage, "The command line is wrong."),
    (
        Exit::Config,
        "mirror.toml is wrong; systemd does not restart on it.",
    ),
];

const FILES: [(&str, &str); 3] = [
    ("./mirror.toml", "The mirrors and registries."),
    (
        "/etc/transship/mirror.toml",
        "The same, where there is none in the working directory.",
    ),
    (
        "$STATE_DIRECTORY/state.db, ./transship.db",
        "What is known of tags, blobs and runs, unless [state] path names another file.",
    ),
];

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {}

impl ManArgs {
    pub(crate) fn run(&self) -> anyhow::Result<Exit> {
        let mut page = Vec::new();
        let mut command = Arguments::command();
        command.build();
        let own = Man::new(command.clone());
        own.render_title(&mut page)?;
        own.render_name_section(&mut page)?;
        own.render_synopsis_section(&mut page)?;
        own.render_options_section(&mut page)?;
        let mut rest = Roff::new();
        rest.control("SH", ["COMMANDS"]);
        let commands = command.get_subcommands_mut();
        for one in commands.filter(|one| one.get_name() != "help") {
            subcommand(&mut rest, one);
        }
        rest.control("SH", ["EXIT STATUS"]);
        for (exit, means) in STATUSES {
            entry(&mut rest, &(exit as u8).to_string(), means);
        }
        rest.control("SH", ["FILES"]);
        for (name, means) in FILES {
            entry(&mut rest, name, means);
        }
        rest.to_writer(&mut page)?;
        output::line(String::from_utf8_lossy(&page).trim_end())?;
        Ok(Exit::Ok)
    }
}

/// A command with what it takes beside the options of all.
fn subcommand(page: &mut Roff, command: &mut Command) {
    let usage = command.render_usage().to_string();
    page.control("SS", [usage.trim_start_matches("Usage: ")]);
    let about = command.get_about().map(ToString::to_string);
    page.text([roman(about.unwrap_or_default())]);
    let is_own = |argument: &&Arg| !argument.is_global_set() && argument.get_id() != "help";
    for argument in command.get_arguments().filter(is_own) {
        let help = argument.get_help().map(ToString::to_string);
        let mut means = help.unwrap_or_default();
        let values: Vec<_> = argument.get_possible_values();
        let values: Vec<_> = values.iter().map(|value| value.get_name()).collect();
        if argument.get_action().takes_values() && !values.is_empty() {
            means += &format!(": {}", values.join(", "));
        }
        entry(page, &argument.to_string(), &means);
    }
}

fn entry(page: &mut Roff, name: &str, means: &str) {
    page.control("TP", []);
    page.text([bold(name)]);
    page.text([roman(means)]);
}
