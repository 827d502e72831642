//! Hostile input is refused, with what it has too much of.

use std::io::Read;

use super::*;

#[track_caller]
fn refusal(input: impl Read) -> String {
    read(input)
        .map(|inventory| format!("{} images", inventory.images().len()))
        .unwrap_err()
        .to_string()
}

#[test]
fn deep_nesting_is_refused() {
    let json = "[".repeat(5000);
    assert!(refusal(json.as_bytes()).contains("more than 100 levels"));
    let yaml = format!("a: {}{}", "[".repeat(5000), "]".repeat(5000));
    let said = refusal(yaml.as_bytes());
    assert!(
        said.contains("100 levels") || said.contains("line 1"),
        "{said}"
    );
}

#[test]
fn yaml_bomb_stays_small() {
    let mut bomb = String::from("a0: &a0 [nginx:1, nginx:1]\n");
    for at in 1..40 {
        bomb += &format!("a{at}: &a{at} [*a{0}, *a{0}, *a{0}]\n", at - 1);
    }
    read(bomb.as_bytes()).unwrap();
}

#[test]
fn endless_line_is_refused() {
    assert!(refusal(std::io::repeat(b'a')).contains("a line of more than 4 MiB"));
}

#[test]
fn endless_text_in_json_is_refused() {
    let endless = b"{\"a\": \"".chain(std::io::repeat(b'a'));
    assert!(refusal(endless).contains("a text of more than 4 MiB"));
    let escaped = b"{\"a\": \"".chain(std::io::repeat(b'\\'));
    assert!(refusal(escaped).contains("a text of more than 4 MiB"));
}

#[test]
fn endless_document_is_refused() {
    let line = b"a: b\n".repeat(1 << 20);
    let endless = std::io::Cursor::new(line).chain(std::io::repeat(b'\n'));
    assert!(refusal(endless).contains("YAML document of more than 16 MiB"));
}

#[test]
fn control_characters_stay_out_of_messages() {
    let said = refusal("\u{1b}[31mred\n".as_bytes());
    assert!(!said.contains('\u{1b}'), "{said:?}");
}

#[test]
fn broken_input_is_named_with_its_line() {
    assert!(refusal("{\"a\": 1,\n\"b\" 2}".as_bytes()).contains("line 2"));
    assert!(refusal("a: 1\nb: [\n".as_bytes()).starts_with("line "));
    assert!(refusal("nginx:1\nnot an image!\nUPPER:1\n".as_bytes()).starts_with("line 3"));
}

#[test]
fn text_of_another_encoding_is_named() {
    let text: Vec<u8> = "\u{feff}nginx:1\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(refusal(&*text), "the input is UTF-16; save it as UTF-8");
}

#[test]
fn control_characters_stay_out_of_places() {
    let pod = "kind: Pod\nmetadata: {name: \"a\\u001b[31m\\u202eb\"}\nspec: {containers: [{image: \"a:1\"}]}\n";
    assert_eq!(place(pod), "Pod a [31mb: spec.containers[0].image");
}

#[test]
fn documents_in_documents_end() {
    let mut text = "image: quay.io/a/b:1\nx: 1\n".to_owned();
    for _ in 0..6 {
        let indented: String = text.lines().map(|line| format!("  {line}\n")).collect();
        text = format!("image: a:1\nimages: |\n{indented}");
    }
    assert_eq!(found(&text), likely(&["a:1"]));
    let deep = format!(
        "a: |\n  image: [{}\nb: {{image: \"c:1\"}}\n",
        "[".repeat(5000)
    );
    assert_eq!(found(&deep), likely(&["c:1"]));
}
