//! A month of what clients pulled, by the clock of the store: images are pulled, move, are left alone and
//! leave. After each day's run the target is compared with a model that is written from docs/gateway.md.

use std::collections::BTreeMap;

use crate::support::programs::gateway::{GatewayStage, OPEN, gateway_toml};
use crate::support::programs::store_clock;
use crate::support::registries::client::assert_mirrored;
use crate::support::registries::corpus::{Blob, Image, layer};

const DAYS: u64 = 30;
const DAY: i64 = 24 * 3600;
/// `keep` of `[gateway]`, and `after` of `prune`, in days.
const KEEP: u64 = 5;
const AFTER: u64 = 2;
const REPOSITORIES: [&str; 2] = ["lib", "tool"];
const TAGS: [&str; 4] = ["v1", "v2", "v3", "same"];

type ImageName = (&'static str, &'static str);
type KeptImages = BTreeMap<ImageName, KeptImage>;

/// What the model knows of an image at the target.
#[derive(Clone, Debug)]
struct KeptImage {
    last_pull: u64,
    /// The day since when it is to leave.
    leaving_since: Option<u64>,
    digest: String,
}

struct Month {
    stage: GatewayStage,
    random: fastrand::Rng,
    day: u64,
    made: u32,
    kept: KeptImages,
    left: usize,
}

impl Month {
    fn start(seed: u64) -> Self {
        let keys = format!("{OPEN}\nkeep = \"{KEEP}d\"");
        let text = gateway_toml(&keys, "").replace(
            "[defaults]\n",
            &format!("[defaults]\nprune = {{ after = \"{AFTER}d\", max_share = 1.0 }}\n"),
        );
        let mut stage = GatewayStage::configured(&text, |_, _| {});
        // From now on the clock of the store passes, and nobody runs but this test.
        let mut daemon = stage.daemon.take().unwrap();
        daemon.signal("-TERM");
        assert!(daemon.wait().success());
        let mut month = Self {
            stage,
            random: fastrand::Rng::with_seed(seed),
            day: 0,
            made: 0,
            kept: BTreeMap::new(),
            left: 0,
        };
        for repository in REPOSITORIES {
            for tag in TAGS {
                month.push(repository, tag);
            }
        }
        month
    }

    fn any<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.random.usize(0..choices.len())]
    }

    fn any_image(&mut self) -> ImageName {
        (self.any(&REPOSITORIES), self.any(&TAGS))
    }

    /// A new image at the source. All images share a layer.
    fn push(&mut self, repository: &str, tag: &str) {
        self.made += 1;
        let own = layer(&format!("own {}", self.made), 700);
        let layers: Vec<Blob> = vec![layer("shared", 3000), own];
        let image = Image::oci_with(&format!("image {}", self.made), layers);
        self.stage.source.client().push(repository, tag, &image);
    }

    fn source_digest(&self, (repository, tag): ImageName) -> String {
        let mut tags = self.stage.source.contents(|contents| contents.tags());
        tags.remove(repository).unwrap().remove(tag).unwrap()
    }

    /// Somebody pulls an image: what the gateway writes down of that.
    fn pull(&mut self, image: ImageName) {
        let (repository, tag) = image;
        let host = self.stage.source.host();
        let now = "unixepoch('now')";
        self.stage.transship.ask_store(&format!(
            "INSERT INTO demand (repository, version, first_pull, last_pull, pulls)
             VALUES ('{host}/{repository}', '{tag}', {now}, {now}, 1)
             ON CONFLICT DO UPDATE SET last_pull = excluded.last_pull, pulls = pulls + 1"
        ));
        let kept = KeptImage {
            last_pull: self.day,
            leaving_since: None,
            digest: String::new(),
        };
        self.kept.insert(image, kept);
    }

    /// What happens on a day before its run.
    fn pass_morning(&mut self) {
        for _ in 0..self.random.usize(0..3) {
            let image = self.any_image();
            self.pull(image);
        }
        let (repository, tag) = self.any_image();
        match self.random.u32(0..4) {
            0 | 1 => self.push(repository, tag),
            // Two tags of one manifest, which a registry deletes together.
            2 => {
                let digest = self.source_digest((repository, tag));
                let source = &self.stage.source;
                source.contents(|contents| contents.retag(repository, "same", &digest));
            }
            _ => {}
        }
    }

    /// The day's run, and what the target has to have then.
    fn run(&mut self) {
        let run = self.stage.transship.run(&["sync", "on-demand"]);
        if !self.kept.is_empty() {
            run.expect_code(0);
        }
        let before = self.kept.clone();
        for image in before.keys() {
            let digest = self.source_digest(*image);
            let kept = self.kept.get_mut(image).unwrap();
            if self.day - kept.last_pull < KEEP {
                *kept = KeptImage {
                    leaving_since: None,
                    digest,
                    ..kept.clone()
                };
            } else {
                kept.leaving_since.get_or_insert(self.day);
            }
        }
        let now = self.kept.clone();
        for image in before.keys() {
            self.check(*image, (&before, &now));
        }
    }

    fn is_due(&self, kept: &KeptImage) -> bool {
        let since = kept.leaving_since;
        since.is_some_and(|since| self.day - since >= AFTER)
    }

    /// Compares the target with what was kept before the run and is to be kept now.
    #[track_caller]
    fn check(&mut self, image: ImageName, (before, now): (&KeptImages, &KeptImages)) {
        let (repository, tag) = image;
        let path = format!("cache/{repository}");
        let target = self.stage.target.client();
        let found = target.manifest(&path, tag).map(|found| found.digest);
        let kept = &now[&image];
        // A registry deletes a manifest with all its tags.
        let stays = now
            .iter()
            .filter(|(other, kept)| other.0 == repository && other.1 != tag && !self.is_due(kept));
        let is_needed = stays.clone().any(|(_, other)| other.digest == kept.digest);
        let was_needed = stays
            .clone()
            .any(|(other, _)| before[other].digest == kept.digest);
        let told = || {
            format!(
                "day {}: {image:?} of {now:#?}, before {before:#?}",
                self.day
            )
        };
        if self.is_due(kept) && !is_needed {
            // What another tag needed until this run may stay for one more.
            if found.is_none() || !was_needed {
                assert_eq!(found, None, "{}", told());
                self.left += 1;
                self.kept.remove(&image);
            }
            return;
        }
        assert_eq!(found.as_ref(), Some(&kept.digest), "{}", told());
        if kept.leaving_since.is_none() {
            let source = self.stage.source.client();
            assert_mirrored(&source, repository, &target, &path, tag);
        }
    }
}

#[test]
fn month_of_pulls_agrees_with_the_model() {
    let mut month = Month::start(1);
    for day in 0..DAYS {
        month.day = day;
        month.pass_morning();
        month.run();
        store_clock::shift(&month.stage.transship, DAY);
    }
    let app = Image::oci("app").digest();
    let target = month.stage.target.client();
    let found = target.manifest("mirror/app", "v1").unwrap();
    assert_eq!(found.digest, app);
    assert!(month.left >= 3, "{} left", month.left);
}
