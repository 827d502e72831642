//! Where an image stands in a document, in words.

use crate::inventory::scan::{Inner, Object, OpenNode};

/// Where the walk stands: the object, then the keys below it.
pub(crate) fn place(frames: &[OpenNode], object: Option<&Object>, member: Option<&str>) -> String {
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
            Inner::List { index, .. } => path += &format!("[{index}]"),
            Inner::Map { key: Some(key), .. } => path += &format!(".{key}"),
            Inner::Map { key: None, .. } => {}
        }
    }
    path.extend(member.map(|member| format!(".{member}")));
    // Names are those of the input.
    transship_text::one_line(&format!("{title}{}", path.trim_start_matches('.')))
}
