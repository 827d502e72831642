//! `transship explain -`: whether all images of an input are mirrored.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use serde_json::json;
use unicode_width::UnicodeWidthStr as _;

use crate::{
    cli::{Exit, Global, Refusal, output},
    config::Config,
    inventory::{self, Certainty, Inventory},
    status::{Coverage, CoveredImage, ImageState},
    store::Store,
};

/// Reads the images of a file, or of standard input.
pub(crate) fn inventory(file: Option<&Path>) -> anyhow::Result<Inventory> {
    let name = match file {
        Some(path) => path.display().to_string(),
        None => "standard input".into(),
    };
    let refuse = |error: &dyn std::fmt::Display| {
        let help = "give a list with an image a line, or JSON or YAML of Kubernetes objects";
        Refusal::mistake(format!("{name}: {error}"), help)
    };
    let input: Box<dyn Read> = match file {
        Some(path) => Box::new(File::open(path).map_err(|error| refuse(&error))?),
        None => Box::new(io::stdin().lock()),
    };
    let inventory = inventory::read(input).map_err(|error| refuse(&error))?;
    let is_empty = inventory.images().len() + inventory.patterns().len() == 0;
    match is_empty {
        true => Err(refuse(&"no image in it").into()),
        false => Ok(inventory),
    }
}

/// Compares the images with what is mirrored, and prints what came out.
pub(crate) async fn explain(
    inventory: &Inventory,
    config: &Config,
    store: Option<&Store>,
    global: &Global,
    is_toml: bool,
) -> anyhow::Result<Exit> {
    if inventory.images().len() == 0 {
        let help = "`transship import --from images FILE` makes entries of patterns";
        let message = "the list has patterns of repositories, and no image".into();
        return Err(Refusal::mistake(message, help).into());
    }
    let coverage = Coverage::of(inventory, config, store).await?;
    if global.json {
        let counts = coverage.counts();
        output::json(&json!({
            "images": coverage.images,
            "counts": counts,
            "toml": coverage.toml(),
        }))?;
    } else if is_toml {
        output::line(coverage.toml().trim_end())?;
    } else {
        print(&coverage)?;
    }
    Ok(match coverage.is_missing() {
        true => Exit::Differences,
        false => Exit::Ok,
    })
}

/// What is not well, a line an image, then the verdict and the entries to add.
fn print(coverage: &Coverage) -> anyhow::Result<()> {
    let shown = coverage.images.iter();
    let shown = shown.filter(|image| image.state != ImageState::Current);
    let names = shown.clone().map(|image| image.found.image.width());
    let width = names.max().unwrap_or(0).min(80);
    for image in shown {
        output::line(&line(image, width))?;
    }
    output::line(&verdict(coverage))?;
    let toml = coverage.toml();
    match toml.is_empty() {
        true => Ok(()),
        false => output::line(&format!("\nto add:\n\n{}", toml.trim_end())),
    }
}

fn line(image: &CoveredImage, width: usize) -> String {
    let found = &image.found;
    let state = match found.certainty {
        Certainty::Maybe => format!("maybe {}", image.state.words()),
        _ => image.state.words().to_owned(),
    };
    let mirror = image.mirror.iter().map(|mirror| format!("  `{mirror}`"));
    let reason = image.reason.iter().map(|reason| format!(": {reason}"));
    format!(
        "{state:<20}  {:<width$}  {}{}{}",
        found.image,
        found.place,
        mirror.collect::<String>(),
        reason.collect::<String>()
    )
}

/// The counts in a sentence: `3 of 147 images are not mirrored, 2 are behind`.
pub(crate) fn verdict(coverage: &Coverage) -> String {
    let counts = coverage.counts();
    let all: usize = counts.values().sum();
    let maybe = coverage.images.len() - all;
    let mut parts = Vec::new();
    for state in ImageState::ALL {
        match counts.get(&state).copied().unwrap_or(0) {
            0 => {}
            count if state != ImageState::Current => {
                parts.push(format!("{count} {}", state.words()));
            }
            _ => {}
        }
    }
    let images = output::count(all as u64, "image");
    let mut verdict = match parts.is_empty() {
        true => format!("{images}: all mirrored and current"),
        false => format!("{images}: {}", parts.join(", ")),
    };
    if maybe > 0 {
        verdict += &format!("; {maybe} more may be images");
    }
    verdict
}
