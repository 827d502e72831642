//! Platforms of image index entries, `os/architecture[/variant]`.

use std::{fmt, str::FromStr};

use serde::Deserialize;

use super::manifest::or_default;

/// The operating systems of Go, by which images name theirs
/// ([Go's list](https://go.dev/src/internal/syslist/syslist.go),
/// [the image specification](https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md)).
pub const SYSTEMS: [&str; 18] = [
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "wasip1",
    "windows",
    "zos",
];
/// The architectures of Go, by which images name theirs; from where [`SYSTEMS`] come.
pub const ARCHITECTURES: [&str; 24] = [
    "386",
    "amd64",
    "amd64p32",
    "arm",
    "armbe",
    "arm64",
    "arm64be",
    "loong64",
    "mips",
    "mipsle",
    "mips64",
    "mips64le",
    "mips64p32",
    "mips64p32le",
    "ppc",
    "ppc64",
    "ppc64le",
    "riscv",
    "riscv64",
    "s390",
    "s390x",
    "sparc",
    "sparc64",
    "wasm",
];

/// An operating system, an architecture, and perhaps a variant.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Platform {
    /// `linux`, `windows`, ...
    #[serde(default, deserialize_with = "or_default")]
    pub os: String,
    /// `amd64`, `arm64`, ... as Go names them.
    #[serde(default, deserialize_with = "or_default")]
    pub architecture: String,
    /// `v7`, `v8`, ... where the architecture needs it.
    #[serde(default)]
    pub variant: Option<String>,
}

impl Platform {
    /// Whether an index entry's platform is one that `self` asks for. A variant left out asks
    /// for all of them, and `linux/arm64/v8` is what `linux/arm64` means
    /// (containerd normalises it so).
    pub fn selects(&self, entry: &Platform) -> bool {
        let variant = match (&self.variant, &entry.variant) {
            (None, _) => true,
            (Some(wanted), Some(given)) => wanted == given,
            (Some(wanted), None) => self.architecture == "arm64" && wanted == "v8",
        };
        self.os == entry.os && self.architecture == entry.architecture && variant
    }

    /// Whether this is the `unknown/unknown` that marks an attestation.
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" && self.architecture == "unknown"
    }
}

impl FromStr for Platform {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('/').collect();
        let legal =
            |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric());
        match parts.as_slice() {
            [os, architecture, variant @ ..] if variant.len() < 2 && parts.iter().all(legal) => {
                Ok(Self {
                    os: (*os).into(),
                    architecture: (*architecture).into(),
                    variant: variant.first().map(|v| (*v).into()),
                })
            }
            _ => Err(format!("`{text}` is not a platform")),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}
