use crate::listing::json::*;

#[test]
fn scalars_of_any_shape() {
    let read = |text: &str| serde_json::from_str::<Scalar>(text).unwrap();
    assert_eq!(read("3"), Scalar::Number(3.0));
    assert_eq!(read("-1.5"), Scalar::Number(-1.5));
    assert_eq!(read("\"x\""), Scalar::Text("x".into()));
    for other in ["null", "true", "[1, [2]]", "{\"a\": {\"b\": 1}}"] {
        assert_eq!(read(other), Scalar::Other, "{other}");
    }
}

#[test]
fn presence_and_weight() {
    let is_there = |text: &str| serde_json::from_str::<Presence>(text).unwrap().0;
    assert!(is_there("{\"os\": \"linux\"}"));
    assert!(!is_there("null"));
    let weight: Weight = serde_json::from_str("[\"a\", \"bcd\"]").unwrap();
    assert_eq!(weight, Weight { count: 2, bytes: 4 });
    assert_eq!(
        serde_json::from_str::<Weight>("null").unwrap(),
        Weight::default()
    );
}
