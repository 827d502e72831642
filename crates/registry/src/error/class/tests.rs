use super::*;

#[test]
fn labels_are_unique_sorted_and_parse_back() {
    let labels = ErrorClass::ALL.map(ErrorClass::as_str);
    assert!(labels.is_sorted_by(|a, b| a < b), "{labels:?}");
    for class in ErrorClass::ALL {
        assert_eq!(class.as_str().parse(), Ok(class));
    }
    assert_eq!("timeout".parse::<ErrorClass>(), Err(UnknownClass));
}
