//! What was tried at a registry: a closed set, rendered to words at the edge.

use std::fmt;

/// An operation on a registry. [`Self::as_str`] begins the message of an [`Error`](crate::Error):
/// `pull manifest ghcr.io/a/b:1: not found`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Set up the connections to a registry.
    SetUp,
    /// Reach a registry's address.
    Reach,
    /// Log in to a registry.
    LogIn,
    /// Fetch a token.
    GetToken,
    /// List the repositories of a registry.
    ListRepositories,
    /// List the tags of a repository.
    ListTags,
    /// List what refers to a manifest.
    ListReferrers,
    /// Check whether a manifest exists.
    CheckManifest,
    /// Fetch a manifest.
    PullManifest,
    /// Write a manifest.
    PushManifest,
    /// Delete a tag or a manifest.
    Delete,
    /// Fetch an image's config.
    PullConfig,
    /// Check whether a blob exists.
    CheckBlob,
    /// Fetch a blob.
    PullBlob,
    /// Mount a blob of another repository.
    MountBlob,
    /// Start an upload session.
    StartUpload,
    /// Ask how far an upload session is.
    ResumeUpload,
    /// Send a whole blob, or end a session.
    UploadBlob,
    /// Send one chunk of a blob.
    UploadChunk,
    /// Cancel an upload session.
    CancelUpload,
    /// An operation of the application, in its own words. The library never returns it.
    Application(&'static str),
}

impl Operation {
    /// The words that begin an error's message; its subject follows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SetUp => "set up",
            Self::Reach => "reach",
            Self::LogIn => "log in to",
            Self::GetToken => "get a token for",
            Self::ListRepositories => "list the repositories of",
            Self::ListTags => "list tags of",
            Self::ListReferrers => "list referrers of",
            Self::CheckManifest => "check",
            Self::PullManifest => "pull manifest",
            Self::PushManifest => "push manifest",
            Self::Delete => "delete",
            Self::PullConfig => "pull config",
            Self::CheckBlob => "check blob",
            Self::PullBlob => "pull blob",
            Self::MountBlob => "mount",
            Self::StartUpload => "start upload of",
            Self::ResumeUpload => "resume upload of",
            Self::UploadBlob => "upload blob",
            Self::UploadChunk => "upload part of blob",
            Self::CancelUpload => "cancel upload to",
            Self::Application(words) => words,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
