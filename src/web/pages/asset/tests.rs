//! Contrast of the colours ([WCAG 2.2](https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio), AA).

use std::collections::HashMap;

use crate::web::pages::asset::*;

/// Of text.
const TEXT: f64 = 4.5;
/// Of marks that are no text.
const MARKS: f64 = 3.0;

/// The colours of a scheme by name; those of the dark one stand second in the file.
fn colours(scheme: usize) -> HashMap<&'static str, [u8; 3]> {
    let block = STYLE.split(":root {").nth(scheme + 1).unwrap();
    let (block, _) = block.split_once('}').unwrap();
    let colour = |line: &'static str| {
        let (name, value) = line.trim().strip_prefix("--")?.split_once(": #")?;
        let number = u32::from_str_radix(value.trim_end_matches(';'), 16).ok()?;
        let [_, red, green, blue] = number.to_be_bytes();
        Some((name, [red, green, blue]))
    };
    block.lines().filter_map(colour).collect()
}

fn luminance(colour: [u8; 3]) -> f64 {
    let linear = colour.map(|part| match f64::from(part) / 255.0 {
        low if low <= 0.040_45 => low / 12.92,
        high => ((high + 0.055) / 1.055).powf(2.4),
    });
    0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
}

fn contrast(a: [u8; 3], b: [u8; 3]) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn contrast_of_known_colours() {
    assert!((contrast([0; 3], [255; 3]) - 21.0).abs() < 0.001);
    assert!((contrast([0x77; 3], [255; 3]) - 4.48).abs() < 0.01);
}

#[test]
fn colours_have_contrast_aa() {
    let mut low = Vec::new();
    for scheme in 0..2 {
        let colours = colours(scheme);
        let mut check = |front: &str, back: &str, least| {
            let found = contrast(colours[front], colours[back]);
            if found < least {
                low.push(format!("{scheme}: {front} on {back} is {found:.2}"));
            }
        };
        for back in ["ground", "sheet"] {
            for front in ["text", "quiet", "link", "good", "warning", "bad", "open"] {
                check(front, back, TEXT);
            }
            check("idle", back, MARKS);
        }
        for (front, back) in [
            ("text", "bad-ground"),
            ("link", "bad-ground"),
            ("quiet", "bad-ground"),
            ("bad", "bad-ground"),
            ("text", "warning-ground"),
            ("warning", "warning-ground"),
            ("ground", "text"),
        ] {
            check(front, back, TEXT);
        }
    }
    assert!(low.is_empty(), "{low:#?}");
}
