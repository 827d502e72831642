use crate::config::tests::{TARGET, parse, report};

/// What is said of these platforms.
fn reported(platforms: &str) -> Vec<String> {
    let entry = format!("{TARGET}[[mirror]]\nfrom = \"a/b:1\"\nplatforms = {platforms}\n");
    let records = parse(&entry).warnings.records();
    let reported = records
        .iter()
        .map(|r| format!("{}: {} | {}", r.line, r.message, r.remedy));
    reported.collect()
}

#[test]
fn impossible_platform_gets_suggestion() {
    let reported =
        reported(r#"["linux/amd46", "Linux/arm64", "linux/aarch64", "linux/armv7", "linux/z80"]"#);
    let expected = [
        "5: `linux/amd46` selects nothing: no image names the architecture `amd46` | did you mean `linux/amd64`?",
        "5: `Linux/arm64` selects nothing: no image names the operating system `Linux` | did you mean `linux/arm64`?",
        "5: `linux/aarch64` selects nothing: no image names the architecture `aarch64` | did you mean `linux/arm64`?",
        "5: `linux/armv7` selects nothing: no image names the architecture `armv7` | did you mean `linux/arm/v7`?",
        "5: `linux/z80` selects nothing: no image names the architecture `z80` | write os/architecture or os/architecture/variant, by the names of Go's GOOS and GOARCH, as in \"linux/amd64\"",
    ];
    assert_eq!(reported, expected);
}

#[test]
fn unknown_platform_is_refused_with_suggestion() {
    let entry = format!("{TARGET}[[mirror]]\nfrom = \"a/b:1\"\nplatforms = \"linux/x86_64\"\n");
    let refused = &report(&entry).records()[0];
    assert_eq!(refused.severity, "error");
    assert_eq!(refused.remedy, "did you mean `linux/amd64`?");
}

#[test]
fn platforms_that_images_have_are_not_doubted() {
    let known = r#"["linux/amd64", "linux/arm/v7", "linux/arm64/v8", "windows/amd64", "linux/s390x", "linux/loong64", "wasip1/wasm", "unknown/unknown"]"#;
    assert_eq!(reported(known), Vec::<String>::new());
}
