//! Vendors that are known by the name of their registry, and what is odd about each.

use crate::oci::RegistryName;

/// A vendor that is known by its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vendor {
    DockerHub,
    Quay,
    Ghcr,
    /// Artifact Registry and gcr.io.
    Google,
    AliyunAcr,
    TencentTcr,
    EcrPublic,
    Other,
}

impl Vendor {
    pub(crate) fn of(registry: &RegistryName) -> Self {
        let host = registry.as_str().split(':').next().unwrap_or_default();
        let is_aliyun = host.ends_with(".cr.aliyuncs.com")
            || host.ends_with(".aliyuncs.com")
                && (host.starts_with("registry.") || host.starts_with("registry-vpc."));
        match registry.as_str() {
            "docker.io" => Self::DockerHub,
            "quay.io" => Self::Quay,
            "ghcr.io" => Self::Ghcr,
            "gcr.io" => Self::Google,
            name if name.ends_with(".gcr.io") || name.ends_with(".pkg.dev") => Self::Google,
            _ if is_aliyun => Self::AliyunAcr,
            _ if host == "ccr.ccs.tencentyun.com" => Self::TencentTcr,
            _ if host.ends_with(".tencentcloudcr.com") => Self::TencentTcr,
            _ if host == "public.ecr.aws" => Self::EcrPublic,
            _ => Self::Other,
        }
    }

    /// The host of the API, if it is not the registry's name.
    pub(crate) const fn api_host(self) -> Option<&'static str> {
        match self {
            Self::DockerHub => Some("registry-1.docker.io"),
            _ => None,
        }
    }

    /// Requests per second that the registry takes, where the settings give no limit. Harbor keeps
    /// to the same numbers with Aliyun ACR and Tencent TCR. public.ecr.aws gives one pull a second
    /// to anonymous clients, and a pull is about five requests.
    pub(crate) const fn requests_per_second(self) -> Option<f64> {
        match self {
            Self::AliyunAcr => Some(15.0),
            Self::TencentTcr => Some(10.0),
            Self::EcrPublic => Some(5.0),
            _ => None,
        }
    }

    /// Tags to ask for per page. quay.io has refused more than 100.
    pub(crate) const fn tags_per_page(self) -> u32 {
        match self {
            Self::Quay => 100,
            _ => 1000,
        }
    }

    /// Whether the registry is known to take a blob in chunks, or not to. Artifact Registry takes
    /// whole blobs only, and on ghcr.io the last of several chunks replaces the others.
    pub(crate) const fn takes_chunks(self) -> Option<bool> {
        match self {
            Self::Ghcr | Self::Google => Some(false),
            _ => None,
        }
    }

    /// Why the registry deletes nothing, and where to delete instead.
    pub(crate) const fn no_deletion(self) -> Option<&'static str> {
        match self {
            Self::DockerHub => {
                Some("Docker Hub's registry deletes nothing; delete the tag at hub.docker.com")
            }
            Self::Ghcr => Some("ghcr.io deletes nothing; delete the version on the package's page"),
            _ => None,
        }
    }
}
