mod bounds;
mod kinds;
mod table;

use std::fmt::Write as _;

use super::*;

/// What an input names: certainty and image of each, sorted by full names.
#[track_caller]
fn found(input: &str) -> Vec<(Certainty, String)> {
    let inventory = read(input.as_bytes()).unwrap_or_else(|error| panic!("{error}: {input}"));
    let images = inventory.images();
    images
        .map(|image| (image.certainty, image.image.clone()))
        .collect()
}

/// The place of the only image of an input.
#[track_caller]
fn place(input: &str) -> String {
    let inventory = read(input.as_bytes()).unwrap();
    assert_eq!(inventory.images().len(), 1);
    inventory.images().next().unwrap().place.clone()
}

fn certain(images: &[&str]) -> Vec<(Certainty, String)> {
    images
        .iter()
        .map(|image| (Certainty::Certain, (*image).to_owned()))
        .collect()
}

fn likely(images: &[&str]) -> Vec<(Certainty, String)> {
    images
        .iter()
        .map(|image| (Certainty::Likely, (*image).to_owned()))
        .collect()
}

#[test]
fn forms_are_told_apart() {
    assert_eq!(form(b"  {\"a\": 1}"), Form::Json);
    assert_eq!(form(b"[]"), Form::Json);
    assert_eq!(form(b"# comment\n---\nkind: Pod\n"), Form::Yaml);
    assert_eq!(form(b"images:\n- a:1\n"), Form::Yaml);
    assert_eq!(form(b"- nginx:1.27\n"), Form::Yaml);
    assert_eq!(form(b"nginx:1.27\nquay.io/a/b\n"), Form::Lines);
    assert_eq!(
        form("\u{feff}registry.k8s.io/pause:3.10\n".as_bytes()),
        Form::Lines
    );
    assert_eq!(form(b"ARG V=1\nFROM a:1\n"), Form::Dockerfile);
    assert_eq!(form(b"REPOSITORY   TAG   IMAGE ID\n"), Form::Table);
    assert_eq!(form(b""), Form::Lines);
}

#[test]
fn places_name_the_object_and_the_keys() {
    let deployment = "kind: Deployment\nmetadata: {name: web, namespace: prod}\nspec:\n  template:\n    \
                      spec:\n      containers:\n      - image: nginx:1\n";
    let web = "Deployment prod/web: spec.template.spec.containers[0].image";
    assert_eq!(place(deployment), web);
    let list = "{\"kind\":\"List\",\"items\":[{\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\"},\"spec\":\
                {\"initContainers\":[{\"image\":\"b:1\"}]}}]}";
    assert_eq!(place(list), "Pod a: spec.initContainers[0].image");
    assert_eq!(place("# list\n\nnginx\n"), "line 3");
}

#[test]
fn one_image_written_in_two_ways_is_one() {
    let inventory = read("nginx:1\ndocker.io/library/nginx:1\n".as_bytes()).unwrap();
    let images: Vec<_> = inventory.images().collect();
    assert_eq!(images.len(), 1);
    assert_eq!((images[0].image.as_str(), images[0].places), ("nginx:1", 2));
}

#[test]
fn surest_place_of_an_image_counts() {
    let pod = "kind: Pod\nspec:\n  containers:\n  - args: [\"--i=quay.io/a/b:1\"]\n    image: c:1\n  - image: \
               quay.io/a/b:1\n";
    assert_eq!(found(pod), certain(&["c:1", "quay.io/a/b:1"]));
}

#[test]
fn digest_that_runs_is_read_from_the_status() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let pod = format!(
        "{{\"kind\":\"Pod\",\"metadata\":{{\"name\":\"p\"}},\"spec\":{{\"containers\":[{{\"name\":\"c\",\
         \"image\":\"nginx:1\"}},{{\"name\":\"d\",\"image\":\"redis:7\"}}]}},\"status\":\
         {{\"containerStatuses\":[{{\"name\":\"c\",\"image\":\"sha256:{0}\",\"imageID\":\
         \"docker.io/library/nginx@{digest}\"}},{{\"name\":\"d\",\"imageID\":\"sha256:{0}\"}}]}}}}",
        "b".repeat(64)
    );
    let inventory = read(pod.as_bytes()).unwrap();
    let running: Vec<_> = inventory
        .images()
        .map(|image| {
            (
                image.image.as_str(),
                image.running.iter().collect::<Vec<_>>(),
            )
        })
        .collect();
    assert_eq!(running, [("nginx:1", vec![&digest]), ("redis:7", vec![])]);
}

/// A list of so many pods with an image each, of ten.
fn pods(count: usize) -> String {
    let mut text = String::from("{\"kind\":\"List\",\"items\":[");
    for at in 0..count {
        let comma = if at == 0 { "" } else { "," };
        write!(
            text,
            "{comma}{{\"kind\":\"Pod\",\"metadata\":{{\"name\":\"p{at}\"}},\"spec\":{{\"containers\":\
             [{{\"name\":\"c\",\"image\":\"app:{}\"}}]}}}}",
            at % 10
        )
        .unwrap();
    }
    text + "]}"
}

#[test]
fn pods_of_one_image_are_counted() {
    let inventory = read(pods(1000).as_bytes()).unwrap();
    let places: Vec<u64> = inventory.images().map(|image| image.places).collect();
    assert_eq!(places, [100; 10]);
}
