//! Where a value stands in a Kubernetes object: its role by the keys above it.

/// What a list or a map is, by its key and what it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Nothing particular.
    Other,
    /// `containers`, `initContainers`, `ephemeralContainers`.
    Containers,
    /// An item of them.
    Container,
    /// `containerStatuses` and its brothers.
    Statuses,
    /// An item of them.
    ContainerStatus,
    /// `volumes`.
    Volumes,
    /// An item of them.
    Volume,
    /// The `image` of a volume.
    ImageVolume,
    /// `env`.
    Variables,
    /// An item of them.
    Variable,
    /// `args`, `command`.
    Arguments,
    /// `images`: a list of images, as charts and `kubeadm` write them.
    Images,
    /// `metadata`.
    Metadata,
}

impl Role {
    /// The role of what stands under `key` in a map of this role.
    pub(crate) fn under(self, key: &str) -> Self {
        match (self, key) {
            (_, "containers" | "initContainers" | "ephemeralContainers") => Self::Containers,
            (_, "containerStatuses" | "initContainerStatuses" | "ephemeralContainerStatuses") => {
                Self::Statuses
            }
            (Self::Volume, "image") => Self::ImageVolume,
            (_, "volumes") => Self::Volumes,
            (_, "env") => Self::Variables,
            (_, "args" | "command") => Self::Arguments,
            (_, "images") => Self::Images,
            (_, "metadata") => Self::Metadata,
            _ => Self::Other,
        }
    }

    /// The role of an item of a list of this role.
    pub(crate) fn item(self) -> Self {
        match self {
            Self::Containers => Self::Container,
            Self::Statuses => Self::ContainerStatus,
            Self::Volumes => Self::Volume,
            Self::Variables => Self::Variable,
            Self::Arguments | Self::Images => self,
            _ => Self::Other,
        }
    }
}

/// The members of a map that say something of images.
#[derive(Debug, Default)]
pub(crate) struct Members {
    pub(crate) image: String,
    pub(crate) image_id: String,
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) value: String,
    pub(crate) registry: String,
    pub(crate) repository: String,
    pub(crate) tag: String,
    pub(crate) digest: String,
    pub(crate) reference: String,
}

impl Members {
    /// The member of this key, if it is one of them.
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut String> {
        Some(match key {
            "image" => &mut self.image,
            "imageID" => &mut self.image_id,
            "name" => &mut self.name,
            "namespace" => &mut self.namespace,
            "value" => &mut self.value,
            "registry" => &mut self.registry,
            "repository" => &mut self.repository,
            "tag" => &mut self.tag,
            "digest" => &mut self.digest,
            "reference" => &mut self.reference,
            _ => return None,
        })
    }

    /// The image whose parts stand in several members, as charts have them in their values.
    pub(crate) fn split_image(&self) -> Option<String> {
        let name = match (self.registry.as_str(), self.repository.as_str()) {
            (_, "") => return None,
            ("", repository) => repository.to_owned(),
            (registry, repository) => format!("{}/{repository}", registry.trim_end_matches('/')),
        };
        match (self.tag.as_str(), self.digest.as_str()) {
            ("", "") => None,
            (tag, "") => Some(format!("{name}:{tag}")),
            ("", digest) => Some(format!("{name}@{digest}")),
            (tag, digest) => Some(format!("{name}:{tag}@{digest}")),
        }
    }
}
