//! Finds `mirror.toml` and reads its text.

use std::path::{Path, PathBuf};

use crate::config::{
    DEFAULT_PATHS, Error,
    parse::{
        bounded_file::{self, MAX_FILE_BYTES},
        syntax,
    },
};

/// Who chose the file, which decides whether its owner is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FileOrigin {
    /// The user named it, or it is in a folder that only root can write.
    #[default]
    Named,
    /// It was found in the working directory, which may be somebody else's.
    WorkingDirectory,
}

impl FileOrigin {
    /// The named file, or the first of [`DEFAULT_PATHS`] that exists.
    pub(crate) fn find(named: Option<&Path>) -> Result<(Self, PathBuf), Error> {
        if let Some(path) = named {
            return Ok((Self::Named, path.into()));
        }
        let found = DEFAULT_PATHS
            .iter()
            .map(Path::new)
            .find(|path| path.exists());
        match found {
            Some(path) if path.is_absolute() => Ok((Self::Named, path.into())),
            Some(path) => Ok((Self::WorkingDirectory, path.into())),
            None => Err(Error::NotFound(DEFAULT_PATHS.join(", "))),
        }
    }

    /// Reads the text of the file.
    pub(crate) fn read(self, path: &Path) -> Result<String, Error> {
        let bytes = match self {
            Self::Named => bounded_file::read_bytes(path, MAX_FILE_BYTES),
            Self::WorkingDirectory => bounded_file::read_own_bytes(path, MAX_FILE_BYTES),
        };
        let unreadable = |(error, help)| Error::Unreadable {
            path: path.into(),
            error,
            help,
        };
        let help = "check the path and its permissions";
        let bytes = bytes.map_err(|error| unreadable((error, help.into())))?;
        syntax::decode(bytes, &path.display().to_string()).map_err(unreadable)
    }
}
