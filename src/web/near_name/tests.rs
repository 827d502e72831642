use crate::web::near_name::nearest_name;

const NAMES: [&str; 4] = ["kubernetes", "monitoring", "nginx", "镜像"];

#[test]
fn guesses_misspelt_name() {
    for (written, name) in [
        ("kubernets", Some("kubernetes")),
        ("kuberentes", Some("kubernetes")),
        ("kubernetess", Some("kubernetes")),
        ("ngnix", Some("nginx")),
        ("镜象", Some("镜像")),
        ("something-else", None),
        ("", None),
    ] {
        assert_eq!(nearest_name(written, NAMES.into_iter()), name, "{written}");
    }
}

#[test]
fn compares_no_long_name() {
    let long = "k".repeat(60_000);
    assert_eq!(nearest_name(&long, NAMES.into_iter()), None);
    assert_eq!(nearest_name("kkk", [long.as_str()].into_iter()), None);
}

#[test]
fn finds_name_among_many_similar_ones() {
    let names: Vec<String> = (0..1000).map(|n| format!("mirror-number-{n:04}")).collect();
    let names = || names.iter().map(String::as_str);
    assert_eq!(
        nearest_name("mirror-nmber-0042", names()),
        Some("mirror-number-0042")
    );
}
