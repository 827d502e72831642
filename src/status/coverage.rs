//! Whether the images that clusters use are mirrored, and current.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    config::Config,
    inventory::{Certainty, FoundImage, Inventory},
    oci::Digest,
    status::explain::{Answer, Copy, CopyState, ExplainError, explain},
    store::{self, Store},
};

/// How it stands with an image that a cluster uses, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageState {
    /// No entry mirrors it.
    NotMirrored,
    /// An entry takes it, and no target has it.
    NotAtTarget,
    /// A target has it, and a cluster runs a digest that the mirror does not hold.
    OtherDigest,
    /// What a target has is damaged.
    Damaged,
    /// A target has an older image of the tag.
    Behind,
    /// A target has what the source has.
    Current,
}

impl ImageState {
    /// All states, worst first.
    pub const ALL: [Self; 6] = [
        Self::NotMirrored,
        Self::NotAtTarget,
        Self::OtherDigest,
        Self::Damaged,
        Self::Behind,
        Self::Current,
    ];

    /// The state in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::NotMirrored => "not mirrored",
            Self::NotAtTarget => "not at the target",
            Self::OtherDigest => "runs another digest",
            Self::Damaged => "damaged",
            Self::Behind => "behind",
            Self::Current => "current",
        }
    }

    /// The state in metrics and JSON.
    pub fn label(self) -> &'static str {
        match self {
            Self::NotMirrored => "not_mirrored",
            Self::NotAtTarget => "not_at_target",
            Self::OtherDigest => "other_digest",
            Self::Damaged => "damaged",
            Self::Behind => "behind",
            Self::Current => "current",
        }
    }

    /// Whether a cluster that pulls from the mirror does not get what it asks for.
    pub fn is_missing(self) -> bool {
        matches!(self, Self::NotMirrored | Self::NotAtTarget)
    }
}

/// An image that a cluster uses, and what the mirror has of it.
#[derive(Clone, Debug, Serialize)]
pub struct CoveredImage {
    /// Where it was found.
    #[serde(flatten)]
    pub found: FoundImage,
    /// How it stands.
    pub state: ImageState,
    /// The entry that takes it.
    pub mirror: Option<String>,
    /// Its name at the target.
    pub reference: Option<String>,
    /// Why, where that is known.
    pub reason: Option<String>,
}

/// What clusters use, compared with what is mirrored.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Coverage {
    /// Each image once, worst first.
    pub images: Vec<CoveredImage>,
}

impl Coverage {
    /// Compares an inventory with the entries and the store.
    pub async fn of(
        inventory: &Inventory,
        config: &Config,
        store: Option<&Store>,
    ) -> Result<Self, store::Error> {
        let mut images = Vec::with_capacity(inventory.images().len());
        for found in inventory.images() {
            images.push(cover(found, config, store).await?);
        }
        images.sort_by(|a: &CoveredImage, b| {
            (a.state, &a.found.image).cmp(&(b.state, &b.found.image))
        });
        Ok(Self { images })
    }

    /// The images that a cluster pulls: all but those that are only `maybe` images.
    pub fn used(&self) -> impl Iterator<Item = &CoveredImage> {
        self.images
            .iter()
            .filter(|image| image.found.certainty != Certainty::Maybe)
    }

    /// How many images are in each state, of those that a cluster pulls.
    pub fn counts(&self) -> BTreeMap<ImageState, usize> {
        let mut counts = BTreeMap::new();
        for image in self.used() {
            *counts.entry(image.state).or_default() += 1;
        }
        counts
    }

    /// Whether a cluster would not get everything from the mirror.
    pub fn is_missing(&self) -> bool {
        self.used().any(|image| image.state.is_missing())
    }

    /// The entries to add, grouped by registry; what is only `maybe` an image is a comment.
    pub fn toml(&self) -> String {
        let mut registries: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let missing = self.images.iter();
        for image in missing.filter(|image| image.state == ImageState::NotMirrored) {
            let Some((repository, tag)) = image.found.source() else {
                continue;
            };
            let line = match (image.found.certainty, tag) {
                (Certainty::Maybe, Some(tag)) => format!("# maybe: \"{}\",", repository.tag(&tag)),
                (Certainty::Maybe, None) => format!("# maybe: \"{}\",", image.found.image),
                (_, Some(tag)) => format!("\"{}\",", repository.tag(&tag)),
                (_, None) => by_digest(&image.found),
            };
            registries
                .entry(repository.registry().to_string())
                .or_default()
                .push(format!("  {line}"));
        }
        let entries = registries.into_iter().map(|(registry, lines)| {
            let is_active = lines.iter().any(|line| !line.starts_with("  #"));
            let entry = format!("[[mirror]]\nfrom = [\n{}\n]\n", lines.join("\n"));
            match is_active {
                true => entry,
                // Without a certain image there is no entry.
                false => format!("# {registry}\n{}\n", lines.join("\n").replace("  #", "#")),
            }
        });
        entries.collect::<Vec<_>>().join("\n")
    }
}

/// The line for an image without a tag: mirrors are of tags.
fn by_digest(found: &FoundImage) -> String {
    format!(
        "# by digest only, add a tag that has it: \"{}\",",
        found.image
    )
}

async fn cover(
    found: &FoundImage,
    config: &Config,
    store: Option<&Store>,
) -> Result<CoveredImage, store::Error> {
    let mut covered = CoveredImage {
        found: found.clone(),
        state: ImageState::NotMirrored,
        mirror: None,
        reference: None,
        reason: None,
    };
    let mut explained = explain(&found.image, config, store).await;
    // A digest that was never seen, and the tag beside it.
    let tag = found
        .source()
        .and_then(|(repository, tag)| Some(repository.tag(&tag?)));
    let is_unseen = matches!(explained, Err(ExplainError::Digest));
    let tag = tag.filter(|_| is_unseen && found.image.contains('@'));
    if let Some(tag) = &tag {
        explained = explain(&tag.to_string(), config, store).await;
    }
    let answer = match explained {
        Ok(explained) => explained.answer,
        Err(ExplainError::Store(error)) => return Err(error),
        Err(failure) => {
            covered.reason = Some(failure.to_string());
            return Ok(covered);
        }
    };
    match answer {
        Answer::NotMirrored { .. } => {}
        Answer::NotSelected { mirror, .. } => {
            covered.reason = Some("the entry does not select this tag".into());
            covered.mirror = Some(mirror);
        }
        Answer::AtTarget { mirror } => {
            covered.reason = Some("no entry mirrors anything to this name".into());
            covered.mirror = Some(mirror);
        }
        Answer::Mirrored { entry, .. } => {
            covered.mirror = Some(entry.mirror);
            let best = entry.copies.into_iter().max_by_key(state);
            if let Some(copy) = best {
                covered.state = state(&copy);
                let is_other = tag.is_some() || runs_another(found, &copy, store).await?;
                if !covered.state.is_missing() && is_other {
                    covered.state = ImageState::OtherDigest;
                }
                (covered.reference, covered.reason) = (Some(copy.reference), copy.reason);
            }
        }
    }
    Ok(covered)
}

fn state(copy: &Copy) -> ImageState {
    match copy.state {
        _ if copy.digest.is_none() => ImageState::NotAtTarget,
        CopyState::Damaged => ImageState::Damaged,
        CopyState::Behind => ImageState::Behind,
        // The source no longer has it, and the target does: a cluster gets it.
        CopyState::Current | CopyState::Orphaned | CopyState::LeftOut => ImageState::Current,
        CopyState::NotYet | CopyState::Absent => ImageState::NotAtTarget,
    }
}

/// Whether a digest runs that the target does not hold under this tag.
async fn runs_another(
    found: &FoundImage,
    copy: &Copy,
    store: Option<&Store>,
) -> Result<bool, store::Error> {
    let Some(store) = store else { return Ok(false) };
    for digest in &found.running {
        let Ok(digest) = digest.parse::<Digest>() else {
            continue;
        };
        let known = store.tags_of_digest(None, &digest).await?;
        let is_held = known
            .iter()
            .any(|(repository, tag)| repository.tag(tag).to_string() == copy.reference);
        if !is_held {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests;
