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
    /// Steps of workflows and pipelines, services of compose files: containers by other names.
    Steps,
    /// An item of them.
    Step,
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
    /// A map that stands under `image` or a key that ends so.
    ImageParts,
    /// `env`, `parameters`.
    Variables,
    /// An item of them.
    Variable,
    /// `args`, `command`.
    Arguments,
    /// `images`: a list of images, as charts and `kubeadm` write them.
    Images,
    /// `data` of a ConfigMap.
    Data,
    /// `global` of a chart's values.
    Global,
    /// `image` of that.
    GlobalImage,
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
            // Argo Workflows has `container` and `script`, Tekton `steps` and `sidecars`, compose
            // files have `services`.
            (Self::Steps, _) | (_, "container" | "script" | "stepTemplate") => Self::Step,
            (_, "steps" | "sidecars" | "services") => Self::Steps,
            (Self::Volume, "image") => Self::ImageVolume,
            (Self::Global, "image") => Self::GlobalImage,
            (_, "volumes") => Self::Volumes,
            (_, "env" | "parameters") => Self::Variables,
            (_, "args" | "command") => Self::Arguments,
            (_, "images") => Self::Images,
            (_, "data") => Self::Data,
            (_, "global") => Self::Global,
            (_, "metadata") => Self::Metadata,
            (_, key) if names_image(key) => Self::ImageParts,
            _ => Self::Other,
        }
    }

    /// The role of an item of a list of this role.
    pub(crate) fn item(self) -> Self {
        match self {
            Self::Containers => Self::Container,
            Self::Steps => Self::Step,
            Self::Statuses => Self::ContainerStatus,
            Self::Volumes => Self::Volume,
            Self::Variables => Self::Variable,
            Self::Arguments | Self::Images => self,
            _ => Self::Other,
        }
    }
}

/// Whether a key, a flag or a variable is named for an image: `image`, `agentImage`, `--pause-image`,
/// `RELATED_IMAGE_AGENT`, `IMAGE_PIPELINES_PROXY`.
pub(crate) fn names_image(key: &str) -> bool {
    let end = key.len().checked_sub("image".len());
    let end = end.and_then(|from| key.get(from..));
    end.is_some_and(|end| end.eq_ignore_ascii_case("image"))
        || ["RELATED_IMAGE_", "IMAGE_"]
            .iter()
            .any(|start| key.starts_with(start))
}

/// The registries that `global` in the values of a chart names.
#[derive(Debug, Default)]
pub(crate) struct GlobalRegistry {
    /// `imageRegistry`: it takes the place of every other.
    pub(crate) forced: String,
    /// `image.registry`: for images that have none.
    pub(crate) default: String,
}

/// The members of a map that say something of images.
#[derive(Debug, Default)]
pub(crate) struct Members {
    pub(crate) image: String,
    pub(crate) image_id: String,
    pub(crate) name: String,
    pub(crate) new_name: String,
    pub(crate) namespace: String,
    pub(crate) value: String,
    pub(crate) registry: String,
    pub(crate) hub: String,
    pub(crate) repository: String,
    pub(crate) tag: String,
    pub(crate) version: String,
    pub(crate) digest: String,
    pub(crate) reference: String,
    pub(crate) default: String,
    /// Set where the image is built, not pulled.
    pub(crate) build: String,
    /// Names of images without registry and tag, of this map and those below it.
    pub(crate) bare: Vec<String>,
}

impl Members {
    /// The member of this key, if it is one of them.
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut String> {
        Some(match key {
            "image" => &mut self.image,
            "imageID" => &mut self.image_id,
            "name" => &mut self.name,
            "newName" => &mut self.new_name,
            "namespace" => &mut self.namespace,
            "value" => &mut self.value,
            "registry" | "imageRegistry" => &mut self.registry,
            "hub" => &mut self.hub,
            "repository" | "imageRepository" => &mut self.repository,
            "tag" | "imageTag" | "newTag" => &mut self.tag,
            "version" => &mut self.version,
            "digest" | "sha" => &mut self.digest,
            "reference" => &mut self.reference,
            "default" => &mut self.default,
            "build" => &mut self.build,
            _ => return None,
        })
    }

    /// The image whose parts stand in several members, as charts have them in their values.
    pub(crate) fn split_image(&self, role: Role, global: &GlobalRegistry) -> Option<String> {
        let (path, tag) = self.parts(role)?;
        let registries = [&global.forced, &self.registry, &self.hub, &global.default];
        let registry = registries.into_iter().find(|registry| !registry.is_empty());
        let name = match registry {
            None => path,
            Some(registry) => format!("{}/{path}", registry.trim_end_matches('/')),
        };
        let digest = match self.digest.as_str() {
            bare if bare.len() == 64 && !bare.contains(':') => format!("sha256:{bare}"),
            digest => digest.to_owned(),
        };
        match (tag, digest.as_str()) {
            ("", "") => None,
            (tag, "") => Some(format!("{name}:{tag}")),
            ("", digest) => Some(format!("{name}@{digest}")),
            (tag, digest) => Some(format!("{name}:{tag}@{digest}")),
        }
    }

    /// The path and the tag of an image in parts.
    fn parts(&self, role: Role) -> Option<(String, &str)> {
        let has_name = matches!(role, Role::ImageParts | Role::Images);
        let name = match self.new_name.as_str() {
            "" => self.name.as_str(),
            name => name,
        };
        Some(match (self.repository.as_str(), self.image.as_str()) {
            ("", "") if has_name && !name.is_empty() => (name.to_owned(), &self.tag),
            ("", "") => return None,
            ("", image) => (image.to_owned(), &self.tag),
            (repository, "") => (repository.to_owned(), &self.tag),
            // As the operators of NVIDIA have it: `repository`, `image` and `version`.
            (repository, image) => {
                let tag = Some(&self.tag).filter(|tag| !tag.is_empty());
                (
                    format!("{repository}/{image}"),
                    tag.unwrap_or(&self.version),
                )
            }
        })
    }
}
