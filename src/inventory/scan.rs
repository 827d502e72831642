//! Walks the events of a document and finds the images in it.

use crate::{
    inventory::{
        Certainty, Error, Inventory,
        found::{has_version, is_complete},
        object::{Members, Role},
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

/// A walk through documents. An error ends it; [`Scan::take_error`] has it.
pub(crate) struct Scan<'i> {
    inventory: &'i mut Inventory,
    frames: Vec<OpenNode>,
    objects: Vec<Object>,
    events: u64,
    error: Option<Error>,
}

/// A list or a map that is open.
struct OpenNode {
    role: Role,
    inner: Inner,
}

enum Inner {
    List {
        index: usize,
    },
    Map {
        /// The key whose value comes next; `None` if a key comes next.
        key: Option<String>,
        members: Box<Members>,
    },
}

/// A Kubernetes object that is open: a map with a `kind`.
#[derive(Default)]
struct Object {
    depth: usize,
    kind: String,
    name: String,
    namespace: String,
    /// The names and images of its containers.
    containers: Vec<(String, String)>,
    /// The names and digests of what runs.
    statuses: Vec<(String, Digest)>,
}

impl<'i> Scan<'i> {
    pub(crate) fn new(inventory: &'i mut Inventory) -> Self {
        Self {
            inventory,
            frames: Vec::new(),
            objects: Vec::new(),
            events: 0,
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
        self.begin(Inner::List { index: 0 })
    }

    fn begin(&mut self, inner: Inner) -> Result<(), ()> {
        self.events += 1;
        if self.frames.len() == MAX_DEPTH {
            return self.fail(Error::TooMuch("more than 100 levels"));
        }
        let role = self.next_role();
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
        let result = match inner {
            Inner::Map {
                key: next @ None, ..
            } => {
                *next = Some(text.chars().take(MAX_IMAGE_BYTES).collect());
                return Ok(());
            }
            _ if text.len() > MAX_IMAGE_BYTES => Ok(()),
            Inner::Map {
                key: Some(key),
                members,
            } => {
                if let Some(member) = members.get_mut(key) {
                    text.clone_into(member);
                }
                match key.as_str() {
                    "kind" => {
                        self.open_object(depth, text);
                        Ok(())
                    }
                    key if key.ends_with("Image") && has_version(text) => {
                        self.add(text, Certainty::Likely, None)
                    }
                    _ => Ok(()),
                }
            }
            Inner::List { .. } => self.item(role, text),
        };
        self.advance();
        self.keep(result)
    }

    /// A text in a list.
    fn item(&mut self, role: Role, text: &str) -> Result<(), Error> {
        match role {
            Role::Images if has_version(text) => self.add(text, Certainty::Likely, None),
            // A document that is only a list.
            Role::Other if self.frames.len() == 1 && has_version(text) => {
                self.add(text, Certainty::Certain, None)
            }
            Role::Arguments => {
                let value = text.split_once('=').map_or(text, |(_, value)| value);
                match is_complete(value) {
                    true => self.add(value, Certainty::Maybe, None),
                    false => Ok(()),
                }
            }
            _ => Ok(()),
        }
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
        let result = match role {
            Role::Container if !members.image.is_empty() => {
                self.note_container(&members);
                self.add(&members.image, Certainty::Certain, Some("image"))
            }
            Role::ContainerStatus => {
                self.note_status(&members);
                Ok(())
            }
            Role::ImageVolume if !members.reference.is_empty() => {
                self.add(&members.reference, Certainty::Certain, Some("reference"))
            }
            Role::Variable => self.variable(&members),
            _ if has_version(&members.image) => {
                self.add(&members.image, Certainty::Likely, Some("image"))
            }
            _ => match members.split_image() {
                Some(image) if has_version(&image) => {
                    self.add(&image, Certainty::Likely, Some("repository"))
                }
                _ => Ok(()),
            },
        };
        if let Some(OpenNode {
            inner: Inner::Map { members: kept, .. },
            ..
        }) = self.frames.last_mut()
        {
            *kept = members;
        }
        result
    }

    /// Operators name the images that they start in variables of this prefix
    /// ([OLM](https://sdk.operatorframework.io/docs/olm-integration/generation/#related-images)).
    fn variable(&mut self, members: &Members) -> Result<(), Error> {
        let value = &members.value;
        if members.name.starts_with("RELATED_IMAGE_") && has_version(value) {
            return self.add(value, Certainty::Likely, Some("value"));
        }
        match is_complete(value) {
            true => self.add(value, Certainty::Maybe, Some("value")),
            false => Ok(()),
        }
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
            Some(Inner::List { index }) => *index += 1,
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
        let place = || place(&self.frames, self.objects.last(), member);
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

/// Where the walk stands: the object, then the keys below it.
fn place(frames: &[OpenNode], object: Option<&Object>, member: Option<&str>) -> String {
    let (title, from) = match object {
        None => (String::new(), 0),
        Some(object) => {
            let name = match object.namespace.as_str() {
                "" => object.name.clone(),
                namespace => format!("{namespace}/{}", object.name),
            };
            let title = format!("{} {name}", object.kind);
            (
                format!("{}: ", title.trim_end()),
                object.depth.saturating_sub(1),
            )
        }
    };
    let mut path = String::new();
    for frame in &frames[from.min(frames.len())..] {
        match &frame.inner {
            Inner::List { index } => path += &format!("[{index}]"),
            Inner::Map { key: Some(key), .. } => path += &format!(".{key}"),
            Inner::Map { key: None, .. } => {}
        }
    }
    path.extend(member.map(|member| format!(".{member}")));
    format!("{title}{}", path.trim_start_matches('.'))
}
