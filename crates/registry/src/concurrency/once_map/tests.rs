use crate::concurrency::once_map::*;

#[test]
fn creates_a_value_once_per_key() {
    let map = OnceMap::<&str, u32>::default();
    let first = map.get_or_create(&"a", || 1);
    let again = map.get_or_create(&"a", || 2);
    assert!(Arc::ptr_eq(&first, &again));
    assert_eq!((*again, *map.get(&"b")), (1, 0));
}

#[test]
fn failed_creation_leaves_no_value() {
    let map = OnceMap::<&str, u32>::default();
    assert_eq!(map.get_or_try_create(&"a", || Err("no")), Err("no"));
    assert_eq!(
        map.get_or_try_create(&"a", || Ok::<_, ()>(3)).as_deref(),
        Ok(&3)
    );
}

#[test]
fn removed_values_are_created_again() {
    let map: OnceMap<&str, u32> = [("a", 1), ("b", 2)].into_iter().collect();
    map.retain(|key| *key == "b");
    assert_eq!(map.values(), [Arc::new(2)]);
    assert_eq!(*map.get(&"a"), 0);
}
