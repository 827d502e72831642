//! Routes that meet in one target repository: never do two of them write one tag.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use crate::{
    config::{Mirror, Route, Selection, mirror::entry::Validated, parse::diagnostics::Problems},
    oci::{Repository, Tag},
};

/// Why two routes may not share a target repository.
#[derive(Debug, PartialEq, Eq)]
pub struct Clash {
    /// What would happen.
    pub message: String,
    /// What to do.
    pub help: &'static str,
}

/// A route and the mirror that it belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The route.
    pub route: &'a Route,
    /// The mirror, which says what of an image is kept.
    pub mirror: &'a Mirror,
}

impl Claim<'_> {
    /// Routes may share a target repository only when they bring the same content: the same
    /// source, the same platforms, the same targets.
    pub fn share(&self, other: &Claim<'_>, target: &Repository) -> Result<(), Clash> {
        let (a, b) = (self.route, other.route);
        let refuse = |what: String, help| {
            let message = format!("{what} would be written to {target}");
            Err(Clash { message, help })
        };
        if a.source != b.source {
            let help = "give one of them another `path` or `target`";
            return refuse(format!("both {} and {}", a.source, b.source), help);
        }
        if self.mirror.shape() != other.mirror.shape() {
            let help = "give both entries the same `platforms` and `attestations`, or one of them \
                        another `path`";
            let what = format!("{} with two sets of platforms or attestations", a.source);
            return refuse(what, help);
        }
        if self.mirror.rename != other.mirror.rename && !self.is_apart(other) {
            let help = "give both entries the same `tag`, or one of them another `path`";
            return refuse(format!("{} with two names for its tags", a.source), help);
        }
        if a.targets != b.targets {
            let help = "give both entries the same list of targets";
            let what = format!("{}, by entries with different targets,", a.source);
            return refuse(what, help);
        }
        Ok(())
    }
}

impl Claim<'_> {
    /// Whether each names one tag, and the two do not have one name at the target.
    pub fn is_apart(&self, other: &Claim<'_>) -> bool {
        let (Selection::Tag(own), Selection::Tag(tag)) =
            (&self.route.selection, &other.route.selection)
        else {
            return false;
        };
        // A name that is too long is never written.
        let name = self.mirror.target_tag(own).ok();
        name.is_none() || name != other.mirror.target_tag(tag).ok()
    }
}

impl fmt::Display for Clash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.message, self.help)
    }
}

/// A mirror's place in the file, and a route's place in it.
type RoutePlace = (usize, usize);

/// Settles which of the routes of the file takes a tag that several select: the one that names
/// it, else the first. Anything else would write one target tag from two places.
pub(crate) fn settle(validated: &mut [Validated], problems: &mut Problems) {
    let mut by_target: HashMap<Repository, Vec<RoutePlace>> = HashMap::new();
    for mirror in 0..validated.len() {
        for route in 0..validated[mirror].mirror.routes.len() {
            let here = (mirror, route);
            let targets = validated[mirror].mirror.routes[route].targets.clone();
            let mut settled = HashSet::new();
            for target in targets {
                let earlier = by_target.entry(target.clone()).or_default();
                for other in earlier.iter().filter(|other| settled.insert(**other)) {
                    if let Err(clash) = settle_two(validated, *other, here, &target) {
                        let place = validated[mirror].places[route].clone();
                        problems.error(place, clash.message, clash.help);
                        break;
                    }
                }
                earlier.push(here);
            }
        }
    }
    for (target, places) in &by_target {
        spare(validated, target, places, problems);
    }
}

/// Keeps what is mirrored to a target by name from the backups of its other tags.
fn spare(
    validated: &[Validated],
    target: &Repository,
    places: &[RoutePlace],
    problems: &mut Problems,
) {
    let name = |place: RoutePlace| {
        let claim = claim(validated, place);
        match &claim.route.selection {
            Selection::Tag(tag) => claim.mirror.target_tag(tag).ok(),
            Selection::Matching(_) | Selection::Nothing => None,
        }
    };
    let names: HashSet<Tag> = places.iter().filter_map(|place| name(*place)).collect();
    for &(mirror, route) in places {
        let Some(moved) = name((mirror, route)) else {
            continue;
        };
        let backup = validated[mirror].mirror.backup.as_ref();
        let Some(backup) = backup.and_then(|backup| backup.target(&moved).ok()) else {
            continue;
        };
        if names.contains(&backup) {
            let image = target.tag(&backup);
            let message = format!("the `backup_tag` of {moved} would be written over {image}");
            let help = "that tag is mirrored, too: give `backup_tag` another template, or leave \
                        one of the two tags out";
            problems.error(validated[mirror].places[route].clone(), message, help);
        }
    }
}

fn settle_two(
    validated: &mut [Validated],
    first: RoutePlace,
    second: RoutePlace,
    target: &Repository,
) -> Result<(), Clash> {
    let (a, b) = (claim(validated, first), claim(validated, second));
    a.share(&b, target)?;
    if a.is_apart(&b) {
        return Ok(());
    }
    let (taken, from) = match (&a.route.selection, &b.route.selection) {
        (Selection::Tag(tag), Selection::Tag(_)) => {
            return Err(twice(&a.route.source.tag(tag), target));
        }
        // Routes of one entry that name no tag select the same.
        (Selection::Matching(_), Selection::Matching(_)) if first.0 == second.0 => {
            return Err(twice(&a.route.source, target));
        }
        // The file never says that.
        (Selection::Nothing, _) | (_, Selection::Nothing) => return Ok(()),
        (Selection::Matching(_), Selection::Tag(_)) => (b.route.selection.clone(), first),
        (_, Selection::Matching(_)) => (a.route.selection.clone(), second),
    };
    validated[from.0].mirror.routes[from.1].taken.push(taken);
    Ok(())
}

fn twice(what: &dyn fmt::Display, target: &Repository) -> Clash {
    Clash {
        message: format!("{what} twice would be written to {target}"),
        help: "remove one of the two",
    }
}

fn claim(validated: &[Validated], (mirror, route): RoutePlace) -> Claim<'_> {
    let mirror = &validated[mirror].mirror;
    Claim {
        route: &mirror.routes[route],
        mirror,
    }
}

#[cfg(test)]
mod tests;
