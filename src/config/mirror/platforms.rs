//! Validates `platforms`: a list of `os/architecture[/variant]`.

use std::sync::Arc;

use crate::{
    config::{
        closest,
        parse::{diagnostics::Problems, file::Strings},
    },
    oci::{ARCHITECTURES, Platform, SYSTEMS},
};

/// What others call systems and architectures, and what images call them
/// ([containerd's normalization](https://github.com/containerd/platforms/blob/main/database.go)).
const OTHER_NAMES: [(&str, &str); 12] = [
    ("macos", "darwin"),
    ("i386", "386"),
    ("i686", "386"),
    ("x86", "386"),
    ("x86_64", "amd64"),
    ("x64", "amd64"),
    ("aarch64", "arm64"),
    ("armhf", "arm/v7"),
    ("armel", "arm/v6"),
    ("armv6", "arm/v6"),
    ("armv7", "arm/v7"),
    ("armv8", "arm64"),
];

/// The platforms of a list; those that no image can have are doubted, as they select nothing.
pub(crate) fn validate(list: Option<&Strings>, problems: &mut Problems) -> Option<Arc<[Platform]>> {
    let mut platforms = Vec::new();
    for text in list?.get_ref() {
        match text.get_ref().parse() {
            Ok(platform) => {
                if let Some((message, help)) = doubt(&platform) {
                    problems.warning(text.span(), message, help);
                }
                platforms.push(platform);
            }
            Err(message) => problems.error(text.span(), message, help(text.get_ref())),
        }
    }
    Some(platforms.into())
}

/// What is doubtful about a platform, and the one that was most likely meant.
fn doubt(platform: &Platform) -> Option<(String, String)> {
    let Platform {
        os, architecture, ..
    } = platform;
    let is_system = SYSTEMS.contains(&os.as_str());
    let is_architecture = ARCHITECTURES.contains(&architecture.as_str());
    let unknown = match (is_system, is_architecture) {
        _ if platform.is_unknown() => return None,
        (true, true) => return None,
        (false, _) => format!("operating system `{os}`"),
        (true, false) => format!("architecture `{architecture}`"),
    };
    let message = format!("`{platform}` selects nothing: no image names the {unknown}");
    Some((message, help(&platform.to_string())))
}

fn help(written: &str) -> String {
    let mut parts = written.split('/');
    let os = parts.next().and_then(|part| meant(part, &SYSTEMS));
    let architecture = parts.next().and_then(|part| meant(part, &ARCHITECTURES));
    match os.zip(architecture) {
        Some((os, architecture)) => format!("did you mean `{os}/{architecture}`?"),
        None => "write os/architecture or os/architecture/variant, by the names of Go's GOOS and \
                 GOARCH, as in \"linux/amd64\""
            .into(),
    }
}

fn meant<'a>(written: &'a str, known: &[&'a str]) -> Option<&'a str> {
    let lower = written.to_ascii_lowercase();
    let other = OTHER_NAMES.iter().find(|(name, _)| *name == lower);
    other
        .map(|(_, name)| *name)
        .or_else(|| closest(written, known.iter().copied()))
}

#[cfg(test)]
mod tests;
