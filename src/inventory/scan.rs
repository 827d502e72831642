//! Walks the events of a document and finds the images in it.

use crate::{
    inventory::{
        Certainty, Error, Inventory,
        embedded::{self, Host},
        found::{has_version, is_complete},
        object::{GlobalRegistry, Members, Role, names_image},
        place::place,
    },
    oci::Digest,
};

/// Most bytes of one text.
pub(crate) const MAX_TEXT_BYTES: usize = 4 << 20;
/// Longest text that may be an image, in bytes: a host, a path of 255, a tag of 128, a digest.
const MAX_IMAGE_BYTES: usize = 1024;
/// Most lists and maps that stand in each other.
const MAX_DEPTH: usize = 100;
/// Most containers of a pod that are kept to learn what runs.
const MAX_CONTAINERS: usize = 1000;
/// Most names without a registry that wait for one.
const MAX_BARE: usize = 64;

/// A walk through documents. An error ends it; [`Scan::take_error`] has it.
pub(crate) struct Scan<'i> {
    inventory: &'i mut Inventory,
    host: Host,
    frames: Vec<OpenNode>,
    objects: Vec<Object>,
    events: u64,
    global: GlobalRegistry,
    error: Option<Error>,
}

/// A list or a map that is open.
pub(crate) struct OpenNode {
    role: Role,
    pub(crate) inner: Inner,
}

pub(crate) enum Inner {
    List {
        index: usize,
        /// Whether the item before is a flag for an image, whose value comes next.
        is_flagged: bool,
    },
    Map {
        /// The key whose value comes next; `None` if a key comes next.
        key: Option<String>,
        members: Box<Members>,
    },
}

/// A Kubernetes object that is open: a map with a `kind`.
#[derive(Default)]
pub(crate) struct Object {
    pub(crate) depth: usize,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) namespace: String,
    /// The names and images of its containers.
    containers: Vec<(String, String)>,
    /// The names and digests of what runs.
    statuses: Vec<(String, Digest)>,
}

impl<'i> Scan<'i> {
    /// A walk whose finds go to an inventory, as sure as their host allows.
    pub(crate) fn new(inventory: &'i mut Inventory, host: &Host) -> Self {
        Self {
            inventory,
            host: host.clone(),
            frames: Vec::new(),
            objects: Vec::new(),
            events: 0,
            global: GlobalRegistry::default(),
            error: None,
        }
    }

    /// How many events there were.
    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    /// What ended the walk.
    pub(crate) fn take_error(&mut self) -> Option<Error> {
        self.error.take()
    }

    pub(crate) fn begin_map(&mut self) -> Result<(), ()> {
        self.begin(Inner::Map {
            key: None,
            members: Box::default(),
        })
    }

    pub(crate) fn begin_list(&mut self) -> Result<(), ()> {
        self.begin(Inner::List {
            index: 0,
            is_flagged: false,
        })
    }

    fn begin(&mut self, inner: Inner) -> Result<(), ()> {
        self.events += 1;
        if self.frames.len() == MAX_DEPTH {
            return self.fail(Error::TooMuch("more than 100 levels"));
        }
        let role = self.next_role();
        if let Some(OpenNode {
            inner:
                Inner::Map {
                    key: Some(key),
                    members,
                },
            ..
        }) = self.frames.last_mut()
            && key == "build"
        {
            members.build.clone_from(key);
        }
        // YAML allows a map as a key: its value has a key without a name.
        self.frames.push(OpenNode { role, inner });
        Ok(())
    }

    /// The role of the value that comes next.
    fn next_role(&self) -> Role {
        match self.frames.last() {
            None => Role::Other,
            Some(OpenNode { role, inner }) => match inner {
                Inner::List { .. } => role.item(),
                Inner::Map { key: Some(key), .. } => role.under(key),
                Inner::Map { key: None, .. } => Role::Other,
            },
        }
    }

    pub(crate) fn end(&mut self) -> Result<(), ()> {
        self.events += 1;
        let result = self.judge();
        let frame = self.frames.pop();
        if let Some(OpenNode {
            role: Role::Metadata,
            inner: Inner::Map { members, .. },
        }) = frame
        {
            self.name_object(*members);
        }
        if self
            .objects
            .last()
            .is_some_and(|object| object.depth > self.frames.len())
        {
            self.close_object();
        }
        if self.frames.is_empty() {
            self.global = GlobalRegistry::default();
        }
        self.advance();
        self.keep(result)
    }

    pub(crate) fn scalar(&mut self, text: &str) -> Result<(), ()> {
        self.events += 1;
        let depth = self.frames.len();
        let Some(OpenNode { role, inner }) = self.frames.last_mut() else {
            return Ok(());
        };
        let role = *role;
        let (key, in_list) = match inner {
            Inner::Map {
                key: next @ None, ..
            } => {
                *next = Some(text.chars().take(MAX_IMAGE_BYTES).collect());
                return Ok(());
            }
            Inner::Map {
                key: Some(key),
                members,
            } => {
                if text.len() <= MAX_IMAGE_BYTES
                    && let Some(member) = members.get_mut(key)
                {
                    text.clone_into(member);
                }
                // Nearly all texts are dull: the rest is asked of few.
                let is_dull = !text.contains([':', '\n']) && !text.starts_with(['{', '[']);
                let is_global = matches!(role, Role::Global | Role::GlobalImage);
                if is_dull && !is_global && key != "kind" {
                    self.advance();
                    return Ok(());
                }
                (key.clone(), false)
            }
            Inner::List { .. } => (String::new(), true),
        };
        let result = match in_list {
            _ if role == Role::Arguments => self.arguments(text),
            _ if embedded::may_hold_images(text) => self.embedded(&key, text),
            _ if text.len() > MAX_IMAGE_BYTES => Ok(()),
            true => self.item(role, text),
            false => self.member(role, &key, text, depth),
        };
        self.advance();
        self.keep(result)
    }

    /// A text in a map.
    fn member(&mut self, role: Role, key: &str, text: &str, depth: usize) -> Result<(), Error> {
        match key {
            "kind" => {
                self.open_object(depth, text);
                Ok(())
            }
            // Looked at when the map ends, with its brothers.
            "image" => Ok(()),
            "imageRegistry" if role == Role::Global => {
                text.clone_into(&mut self.global.forced);
                Ok(())
            }
            "registry" if role == Role::GlobalImage => {
                text.clone_into(&mut self.global.default);
                Ok(())
            }
            "digest" | "sha" | "name" => Ok(()),
            key if (names_image(key) || role == Role::Images) && has_version(text) => {
                self.add(text, Certainty::Likely, None)
            }
            _ if role == Role::Data && is_complete(text) => self.add(text, Certainty::Maybe, None),
            _ => Ok(()),
        }
    }

    /// A text in a list.
    fn item(&mut self, role: Role, text: &str) -> Result<(), Error> {
        // Kustomize in Argo CD names images as `NAME=IMAGE`.
        let image = text.rsplit_once('=').map_or(text, |(_, image)| image);
        match role {
            Role::Images if has_version(image) => self.add(image, Certainty::Likely, None),
            // A document that is only a list.
            Role::Other if self.frames.len() == 1 && has_version(text) => {
                self.add(text, Certainty::Certain, None)
            }
            _ => Ok(()),
        }
    }

    /// An argument, or a script in it: images of flags named so, and what looks like an image.
    fn arguments(&mut self, text: &str) -> Result<(), Error> {
        let mut is_flagged = match self.frames.last_mut().map(|frame| &mut frame.inner) {
            Some(Inner::List { is_flagged, .. }) => std::mem::take(is_flagged),
            _ => false,
        };
        for word in text.split_whitespace() {
            let (flag, values) = word.rsplit_once('=').unwrap_or(("", word));
            let is_named = match flag {
                "" => is_flagged,
                flag => names_image(flag),
            };
            is_flagged = flag.is_empty() && word.starts_with('-') && names_image(word);
            let values = values.split([',', ';']);
            for value in values.map(|value| value.trim_matches(['"', '\'', '`', '(', ')'])) {
                match is_named {
                    true if has_version(value) => self.add(value, Certainty::Likely, None)?,
                    _ if is_complete(value) => self.add(value, Certainty::Maybe, None)?,
                    _ => {}
                }
            }
        }
        if let Some(Inner::List {
            is_flagged: next, ..
        }) = self.frames.last_mut().map(|frame| &mut frame.inner)
        {
            *next = is_flagged;
        }
        Ok(())
    }

    /// A text that may be a document itself.
    fn embedded(&mut self, key: &str, text: &str) -> Result<(), Error> {
        let place = || place(&self.frames, self.objects.last(), None);
        let Some(found) = embedded::read(key, text, &self.host, place) else {
            return Ok(());
        };
        self.inventory.merge(found)
    }

    /// Looks at the map that ends, whose members are known now.
    fn judge(&mut self) -> Result<(), Error> {
        let Some(OpenNode {
            role,
            inner: Inner::Map { members, .. },
        }) = self.frames.last_mut()
        else {
            return Ok(());
        };
        let (role, members) = (*role, std::mem::take(members));
        let result = self.judge_members(role, &members);
        if let Some(OpenNode {
            inner: Inner::Map { members: kept, .. },
            ..
        }) = self.frames.last_mut()
        {
            *kept = members;
        }
        result
    }

    fn judge_members(&mut self, role: Role, members: &Members) -> Result<(), Error> {
        let image = &*members.image;
        let is_built = !members.build.is_empty();
        match role {
            Role::Container if !image.is_empty() => {
                self.note_container(members);
                self.add(image, Certainty::Certain, Some("image"))
            }
            Role::ContainerStatus => {
                self.note_status(members);
                Ok(())
            }
            Role::ImageVolume if !members.reference.is_empty() => {
                self.add(&members.reference, Certainty::Certain, Some("reference"))
            }
            Role::Variable => self.variable(members),
            _ if is_built && has_version(image) => self.add(image, Certainty::Maybe, Some("image")),
            _ if is_built => Ok(()),
            _ if has_version(image) => self.add(image, Certainty::Likely, Some("image")),
            Role::Step if !image.is_empty() => self.add(image, Certainty::Likely, Some("image")),
            _ => self.judge_parts(role, members),
        }
    }

    /// Looks at a map that has an image in parts, or in a member of another name.
    fn judge_parts(&mut self, role: Role, members: &Members) -> Result<(), Error> {
        if let Some(image) = members.split_image(role, &self.global)
            && has_version(&image)
        {
            return self.add(&image, Certainty::Likely, Some("tag"));
        }
        let depth = self.frames.len();
        let kind = self.objects.last().filter(|object| object.depth == depth);
        let is_imported = kind.is_some_and(|object| object.kind == "DockerImage");
        match role {
            // Of an ImageStream of OpenShift.
            _ if is_imported && has_version(&members.name) => {
                self.add(&members.name, Certainty::Likely, Some("name"))
            }
            // A list of Hauler.
            Role::Images if has_version(&members.name) => {
                self.add(&members.name, Certainty::Likely, Some("name"))
            }
            // The schema of a custom resource.
            Role::ImageParts if has_version(&members.default) => {
                self.add(&members.default, Certainty::Maybe, Some("default"))
            }
            _ => self.judge_bare(members),
        }
    }

    /// Istio names images alone, and their registry and tag once above them.
    fn judge_bare(&mut self, members: &Members) -> Result<(), Error> {
        let own = Some(&members.image).filter(|image| !image.is_empty() && !image.contains('/'));
        let bare = members.bare.iter().chain(own);
        if !members.hub.is_empty() && !members.tag.is_empty() {
            let (hub, tag) = (members.hub.trim_end_matches('/'), &members.tag);
            for name in bare {
                let image = format!("{hub}/{name}:{tag}");
                self.add(&image, Certainty::Likely, Some("hub"))?;
            }
            return Ok(());
        }
        let bare: Vec<String> = bare.take(MAX_BARE).cloned().collect();
        let mut above = self.frames.iter_mut().rev().skip(1);
        let above = above.find_map(|frame| match &mut frame.inner {
            Inner::Map { members, .. } => Some(members),
            Inner::List { .. } => None,
        });
        if let Some(above) = above {
            let room = MAX_BARE.saturating_sub(above.bare.len());
            above.bare.extend(bare.into_iter().take(room));
        }
        Ok(())
    }

    /// Operators name the images that they start in variables, OLM's with a prefix
    /// ([OLM](https://sdk.operatorframework.io/docs/olm-integration/generation/#related-images)).
    fn variable(&mut self, members: &Members) -> Result<(), Error> {
        let value = &members.value;
        if names_image(&members.name) && has_version(value) {
            return self.add(value, Certainty::Likely, Some("value"));
        }
        for word in value.split([',', ' ']) {
            let word = word.rsplit_once('=').map_or(word, |(_, word)| word);
            if is_complete(word) {
                self.add(word, Certainty::Maybe, Some("value"))?;
            }
        }
        Ok(())
    }

    fn note_container(&mut self, members: &Members) {
        if let Some(object) = self.objects.last_mut()
            && object.containers.len() < MAX_CONTAINERS
        {
            let container = (members.name.clone(), members.image.clone());
            object.containers.push(container);
        }
    }

    /// `imageID` is `REPOSITORY@DIGEST`, with a scheme in front of it by some runtimes. One without
    /// a repository is the digest of a config, which no registry knows as an image.
    fn note_status(&mut self, members: &Members) {
        let digest = members.image_id.rsplit_once('@');
        let digest = digest.and_then(|(_, digest)| digest.parse().ok());
        if let (Some(digest), Some(object)) = (digest, self.objects.last_mut())
            && object.statuses.len() < MAX_CONTAINERS
        {
            object.statuses.push((members.name.clone(), digest));
        }
    }

    fn open_object(&mut self, depth: usize, kind: &str) {
        self.objects.push(Object {
            depth,
            kind: kind.to_owned(),
            ..Object::default()
        });
    }

    /// Names the object whose `metadata` ended.
    fn name_object(&mut self, members: Members) {
        let depth = self.frames.len();
        if let Some(object) = self.objects.last_mut()
            && object.depth == depth
        {
            (object.name, object.namespace) = (members.name, members.namespace);
        }
    }

    /// What runs is known by the names of containers.
    fn close_object(&mut self) {
        let Some(object) = self.objects.pop() else {
            return;
        };
        for (name, digest) in &object.statuses {
            let container = object.containers.iter().find(|(known, _)| known == name);
            if let Some((_, image)) = container {
                self.inventory.runs(image, digest);
            }
        }
    }

    /// Makes ready for the next key or item.
    fn advance(&mut self) {
        match self.frames.last_mut().map(|frame| &mut frame.inner) {
            Some(Inner::List { index, .. }) => *index += 1,
            // A map as a key has no name; its value comes next.
            Some(Inner::Map {
                key: key @ None, ..
            }) => *key = Some(String::new()),
            Some(Inner::Map { key, .. }) => *key = None,
            None => {}
        }
    }

    fn add(
        &mut self,
        image: &str,
        certainty: Certainty,
        member: Option<&str>,
    ) -> Result<(), Error> {
        let certainty = certainty.min(self.host.ceiling);
        let place = || {
            self.host
                .name(&place(&self.frames, self.objects.last(), member))
        };
        self.inventory.add(image, certainty, place).map(drop)
    }

    fn keep(&mut self, result: Result<(), Error>) -> Result<(), ()> {
        result.or_else(|error| self.fail(error))
    }

    fn fail(&mut self, error: Error) -> Result<(), ()> {
        self.error = Some(error);
        Err(())
    }
}
