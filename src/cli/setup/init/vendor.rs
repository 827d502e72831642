//! What mirror.toml needs for a vendor's registry as the target. `docs/registries/` has the sources.

use clap::ValueEnum;

/// Whose software the target runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Vendor {
    AliyunAcr,
    ArtifactRegistry,
    Artifactory,
    AzureAcr,
    Distribution,
    DockerHub,
    Ecr,
    Ghcr,
    Gitea,
    Gitlab,
    Harbor,
    HuaweiSwr,
    Nexus,
    Quay,
    TencentTcr,
    Zot,
}

/// What is particular about a vendor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needs {
    /// Its page in `docs/registries/`.
    pub(crate) page: &'static str,
    /// What to create before the first push.
    pub(crate) create_first: Option<&'static str>,
    /// What the name of a user is here.
    pub(crate) user_hint: &'static str,
    /// `path`, where the default layout is refused.
    pub(crate) path: Option<&'static str>,
    /// `attestations`, where an index with attestations is refused.
    pub(crate) attestations: Option<&'static str>,
    /// The credential helper that logs in, where passwords expire within hours.
    pub(crate) helper: Option<&'static str>,
}

/// Ends of the hosts that a vendor runs itself.
const HOSTS: [(&str, Vendor); 12] = [
    ("aliyuncs.com", Vendor::AliyunAcr),
    ("pkg.dev", Vendor::ArtifactRegistry),
    ("jfrog.io", Vendor::Artifactory),
    ("azurecr.io", Vendor::AzureAcr),
    ("docker.io", Vendor::DockerHub),
    ("amazonaws.com", Vendor::Ecr),
    ("ghcr.io", Vendor::Ghcr),
    ("gitlab.com", Vendor::Gitlab),
    ("myhuaweicloud.com", Vendor::HuaweiSwr),
    ("quay.io", Vendor::Quay),
    ("tencentyun.com", Vendor::TencentTcr),
    ("tencentcloudcr.com", Vendor::TencentTcr),
];

/// A layout of two parts below the target, for registries that take no more.
const FLAT: Option<&str> = Some("{registry|short}-{repository|flatten}");

const PLAIN: Needs = Needs {
    page: "distribution",
    create_first: None,
    user_hint: "a user of its password file",
    path: None,
    attestations: None,
    helper: None,
};

impl Vendor {
    /// The vendor that runs a host (`registry.example.com:5000`), where its name shows it.
    pub(crate) fn of_host(host: &str) -> Option<Self> {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let is_at = |end: &str| {
            let before = name.strip_suffix(end);
            before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
        };
        let found = HOSTS.iter().find(|(end, _)| is_at(end));
        found.map(|(_, vendor)| *vendor)
    }

    /// What mirror.toml and the operator need for it.
    pub(crate) fn needs(self) -> Needs {
        match self {
            Self::AliyunAcr | Self::HuaweiSwr | Self::TencentTcr => self.chinese_cloud(),
            Self::ArtifactRegistry | Self::AzureAcr | Self::DockerHub | Self::Ecr => self.cloud(),
            Self::Ghcr | Self::Gitlab | Self::Quay => self.forge(),
            _ => self.self_hosted(),
        }
    }

    fn chinese_cloud(self) -> Needs {
        let flat = Needs {
            path: FLAT,
            ..PLAIN
        };
        match self {
            Self::AliyunAcr => Needs {
                page: "aliyun-acr",
                create_first: Some("the namespace"),
                user_hint: "the login name of the access credential",
                attestations: Some("if-accepted"),
                ..flat
            },
            Self::HuaweiSwr => Needs {
                page: "huawei-swr",
                create_first: Some("the organization"),
                user_hint: "REGION@ACCESS-KEY of a long-term login command",
                ..flat
            },
            _ => Needs {
                page: "tencent-tcr",
                create_first: Some("the namespace"),
                user_hint: "the account's number",
                ..flat
            },
        }
    }

    fn cloud(self) -> Needs {
        match self {
            Self::ArtifactRegistry => Needs {
                page: "artifact-registry",
                create_first: Some("the repository of the project"),
                user_hint: "_json_key, with the key file as password",
                ..PLAIN
            },
            Self::AzureAcr => Needs {
                page: "azure-acr",
                create_first: Some("the registry"),
                user_hint: "a token with content/write, or a service principal",
                ..PLAIN
            },
            Self::DockerHub => Needs {
                page: "docker-hub",
                create_first: Some("the account or organization"),
                user_hint: "the account; the password is an access token",
                path: FLAT,
                ..PLAIN
            },
            _ => Needs {
                page: "ecr",
                create_first: Some("each repository, or a creation template"),
                user_hint: "none: docker-credential-ecr-login logs in",
                helper: Some("ecr-login"),
                ..PLAIN
            },
        }
    }

    fn forge(self) -> Needs {
        match self {
            Self::Ghcr => Needs {
                page: "ghcr",
                user_hint: "the account; the password is a token with write:packages",
                ..PLAIN
            },
            Self::Gitlab => Needs {
                page: "gitlab",
                create_first: Some("the project"),
                user_hint: "a deploy token with write_registry",
                path: Some("{registry|short}/{name}"),
                ..PLAIN
            },
            _ => Needs {
                page: "quay",
                create_first: Some("the organization and a robot that may create repositories"),
                user_hint: "the robot, such as acme+mirror",
                path: FLAT,
                ..PLAIN
            },
        }
    }

    fn self_hosted(self) -> Needs {
        match self {
            Self::Artifactory => Needs {
                page: "artifactory",
                create_first: Some("a local Docker repository"),
                user_hint: "a user; the password is an identity token",
                ..PLAIN
            },
            Self::Gitea => Needs {
                page: "gitea",
                create_first: Some("the organization"),
                user_hint: "a user; the password is a token with write:package",
                path: Some("{registry|short}/{repository}"),
                ..PLAIN
            },
            Self::Harbor => Needs {
                page: "harbor",
                create_first: Some("the project"),
                user_hint: "a robot account with its prefix, such as robot$mirror",
                ..PLAIN
            },
            Self::Nexus => Needs {
                page: "nexus",
                create_first: Some("a hosted Docker repository with a connector"),
                user_hint: "a user with nx-repository-view-docker-*",
                ..PLAIN
            },
            Self::Zot => Needs {
                page: "zot",
                ..PLAIN
            },
            _ => PLAIN,
        }
    }
}
