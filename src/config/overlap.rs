//! Routes that meet in one target repository: never do two of them write one tag.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use super::{Mirror, Route, Selection, entry::Validated, problem::Problems};
use crate::oci::{Repository, Tag};

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
        if self.mirror.rename != other.mirror.rename {
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

impl fmt::Display for Clash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.message, self.help)
    }
}

/// A mirror's place in the file, and a route's place in it.
type Place = (usize, usize);

/// Settles which of the routes of the file takes a tag that several select: the one that names
/// it, else the first. Anything else would write one target tag from two places.
pub(super) fn settle(validated: &mut [Validated], problems: &mut Problems) {
    let mut by_target: HashMap<Repository, Vec<Place>> = HashMap::new();
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
fn spare(validated: &[Validated], target: &Repository, places: &[Place], problems: &mut Problems) {
    let name = |place: Place| {
        let claim = claim(validated, place);
        match &claim.route.selection {
            Selection::Tag(tag) => claim.mirror.target_tag(tag).ok(),
            Selection::Matching(_) => None,
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
    first: Place,
    second: Place,
    target: &Repository,
) -> Result<(), Clash> {
    let (a, b) = (claim(validated, first), claim(validated, second));
    a.share(&b, target)?;
    let (taken, from) = match (&a.route.selection, &b.route.selection) {
        (Selection::Tag(x), Selection::Tag(y)) if x == y => {
            return Err(twice(&a.route.source.tag(x), target));
        }
        // Routes of one entry that name no tag select the same.
        (Selection::Matching(_), Selection::Matching(_)) if first.0 == second.0 => {
            return Err(twice(&a.route.source, target));
        }
        (Selection::Tag(_), Selection::Tag(_)) => return Ok(()),
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

fn claim(validated: &[Validated], (mirror, route): Place) -> Claim<'_> {
    let mirror = &validated[mirror].mirror;
    Claim {
        route: &mirror.routes[route],
        mirror,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Config;

    fn complaint(from: &str) -> Option<String> {
        let text = format!("[[mirror]]\ntarget = \"t.example/m\"\ntags = \"v*\"\nfrom = {from}");
        let parsed = Config::parse(Path::new("mirror.toml"), &text);
        parsed.err().map(|error| error.to_string())
    }

    #[test]
    fn a_repository_stands_once_in_an_entry() {
        for twice in [
            r#"["s.example/a", "s.example/a"]"#,
            r#"["s.example/{a,b}", "s.example/a"]"#,
        ] {
            let said = complaint(twice).unwrap();
            assert!(
                said.contains("s.example/a twice would be written"),
                "{said}"
            );
        }
        assert_eq!(complaint(r#"["s.example/a", "s.example/a:1"]"#), None);
    }

    #[test]
    fn no_backup_is_written_over_a_tag_that_is_mirrored_by_name() {
        let with = |from: &str, keys: &str| complaint(&format!("{from}\n{keys}"));
        let both = r#"["s.example/z", "s.example/a:1", "s.example/a:1.prev"]"#;
        let backup = "backup_tag = \"{tag}.prev\"";
        let said = with(both, backup).unwrap();
        assert!(said.contains("the `backup_tag` of 1 would be"), "{said}");
        assert!(said.contains("t.example/m/s.example/a:1.prev"), "{said}");
        // What counts are the names at the target.
        let renamed = r#"["s.example/z", "s.example/a:1", "s.example/a:1.prev-x"]"#;
        let keys = format!("tag = \"{{tag}}-x\"\n{backup}");
        assert_eq!(with(renamed, &keys), None);
        let keys = "tag = \"{tag}-x\"\nbackup_tag = \"old-{tag}\"";
        let renamed = r#"["s.example/z", "s.example/a:1", "s.example/a:old-1"]"#;
        assert!(with(renamed, keys).is_some());
        assert_eq!(with(both, "backup_tag = \"{tag}.old\""), None);
        assert_eq!(with(both, ""), None);
        let elsewhere = r#"["s.example/z", "s.example/a:1", "s.example/b:1.prev"]"#;
        assert_eq!(with(elsewhere, backup), None);
    }

    #[test]
    fn a_backup_of_one_entry_spares_the_tags_of_another() {
        let entry = |tag: &str| format!("[[mirror]]\nfrom = \"s.example/a:{tag}\"\n");
        let text = format!(
            "[defaults]\ntarget = \"t.example\"\n{}{}backup_tag = \"{{tag}}.prev\"\n",
            entry("1.prev"),
            entry("1"),
        );
        let error = Config::parse(Path::new("mirror.toml"), &text).unwrap_err();
        assert!(
            error.to_string().contains("would be written over"),
            "{error}"
        );
    }
}
