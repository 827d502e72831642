//! Documents inside of texts: annotations of charts, values of a HelmChart, files of a ConfigMap.

use crate::inventory::{
    Certainty, Form, Inventory, form, found::has_version, json, object::names_image, yaml,
};

/// Texts in texts that are read.
const MAX_LEVELS: usize = 2;

/// What a document stands in, and how sure its images can be.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    /// The most that can be said of an image in it.
    pub(crate) ceiling: Certainty,
    place: String,
    level: usize,
}

impl Default for Host {
    /// A document of its own.
    fn default() -> Self {
        Self {
            ceiling: Certainty::Certain,
            place: String::new(),
            level: 0,
        }
    }
}

impl Host {
    /// A place in the document, with where that document stands.
    pub(crate) fn name(&self, place: &str) -> String {
        match self.place.as_str() {
            "" => place.to_owned(),
            host => transship_text::one_line(&format!("{host}: {place}")),
        }
    }
}

/// Whether a text may be a document that names images: it has several lines, or begins as JSON.
pub(crate) fn may_hold_images(text: &str) -> bool {
    let is_document = text.starts_with(['{', '[']) || text.contains('\n');
    is_document && text.len() > 8 && (text.contains("mage") || text.contains("IMAGE"))
}

/// The images of a text under this key. `None` if nothing in it counts.
pub(crate) fn read(
    key: &str,
    text: &str,
    host: &Host,
    place: impl FnOnce() -> String,
) -> Option<Inventory> {
    let ceiling = match key {
        // It repeats the object, as it was when somebody last applied it.
        "kubectl.kubernetes.io/last-applied-configuration" | "description" => return None,
        // Examples of custom resources.
        "alm-examples" => Certainty::Maybe,
        _ => Certainty::Likely,
    };
    if host.level == MAX_LEVELS {
        return None;
    }
    let inner = Host {
        ceiling: ceiling.min(host.ceiling),
        place: host.name(&place()),
        level: host.level + 1,
    };
    let mut found = Inventory::default();
    let read = match form(text.as_bytes()) {
        Form::Json => json::read(&mut text.as_bytes(), &mut found, &inner),
        Form::Yaml => yaml::read(&mut text.as_bytes(), &mut found, &inner),
        Form::Lines | Form::Dockerfile | Form::Table => return None,
    };
    match read {
        Ok(()) => Some(found),
        // A template is no YAML before it is rendered.
        Err(_) => of_lines(text, &inner),
    }
}

/// Images of lines such as `image: quay.io/a/b:1` in a text that is no document.
fn of_lines(text: &str, host: &Host) -> Option<Inventory> {
    let mut found = Inventory::default();
    for (number, line) in text.lines().enumerate() {
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        let trimmed = |text: &str| {
            text.trim_matches([' ', '-', '"', '\'', ',', '\t'])
                .to_owned()
        };
        let (key, value) = (trimmed(key), trimmed(value));
        if names_image(&key) && has_version(&value) {
            let place = || host.name(&format!("line {}", number + 1));
            found.add(&value, Certainty::Maybe, place).ok()?;
        }
    }
    Some(found)
}
