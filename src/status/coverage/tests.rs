use std::path::Path;

use super::*;
use crate::inventory;

const CONFIG: &str = "[[mirror]]\nname = \"nginx\"\nfrom = \"docker.io/library/nginx\"\ntags = \"1.*\"\n\
                      target = \"registry.example.com/m\"\n";

async fn coverage(input: &str) -> Coverage {
    let config = Config::parse(Path::new("mirror.toml"), CONFIG).unwrap();
    let inventory = inventory::read(input.as_bytes()).unwrap();
    Coverage::of(&inventory, &config, None).await.unwrap()
}

fn states(coverage: &Coverage) -> Vec<(&str, ImageState)> {
    let images = coverage.images.iter();
    images
        .map(|image| (image.found.image.as_str(), image.state))
        .collect()
}

#[tokio::test]
async fn worst_images_come_first() {
    let coverage = coverage("nginx:1.27\nnginx:2.0\nquay.io/a/b:1\n").await;
    assert_eq!(
        states(&coverage),
        [
            ("nginx:2.0", ImageState::NotMirrored),
            ("quay.io/a/b:1", ImageState::NotMirrored),
            ("nginx:1.27", ImageState::NotAtTarget),
        ]
    );
    assert!(coverage.is_missing());
}

#[tokio::test]
async fn name_at_the_target_is_the_image_of_the_source() {
    let coverage = coverage("registry.example.com/m/docker.io/library/nginx:1.27\n").await;
    assert_eq!(coverage.images[0].mirror.as_deref(), Some("nginx"));
}

#[tokio::test]
async fn toml_is_grouped_by_registry() {
    let coverage = coverage("quay.io/a/b:1\nnginx\nquay.io/a/c:2@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n").await;
    let toml = coverage.toml();
    assert_eq!(
        toml,
        "[[mirror]]\nfrom = [\n  \"docker.io/library/nginx:latest\",\n]\n\n[[mirror]]\nfrom = [\n  \
         \"quay.io/a/b:1\",\n  \"quay.io/a/c:2\",\n]\n"
    );
    let text = format!("[defaults]\ntarget = \"registry.example.com/m\"\n{toml}");
    Config::parse(Path::new("mirror.toml"), &text).unwrap();
}

#[tokio::test]
async fn maybe_images_are_comments_and_miss_nothing() {
    let pod = "kind: Pod\nspec:\n  containers:\n  - name: a\n    args: [\"--i=quay.io/a/b:1\"]\n";
    let coverage = coverage(pod).await;
    assert!(!coverage.is_missing());
    assert_eq!(coverage.toml(), "# quay.io\n# maybe: \"quay.io/a/b:1\",\n");
}
