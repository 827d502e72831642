use super::*;

const HASH: &str = "$2b$04$LLtVNvsJvzs11BsBqUk9PO7ZlXLEoe7L9YqIBaFnBePiVjdZ7/wgW";

#[test]
fn reads_names_and_hashes() {
    let text = format!(
        "# people\n\nrobot:{HASH}\r\nann:{}\n",
        HASH.replace("$2b$", "$2y$")
    );
    let table = UserTable::parse(&text).unwrap();
    assert_eq!(table.len(), 2);
    assert_eq!(table.hash("robot").as_deref(), Some(HASH));
    assert_eq!(table.hash("nobody"), None);
}

#[test]
fn odd_lines_are_named_and_not_repeated() {
    let table = [
        ("robot", "line 1: it is not NAME:HASH"),
        (
            "robot:{SHA}fEqNCco3Yq9h5ZUglD3CZJT4lBs=",
            "line 1: the hash is not bcrypt; run `htpasswd -B`",
        ),
        (
            "robot:$apr1$x$y",
            "line 1: the hash is not bcrypt; run `htpasswd -B`",
        ),
        (
            "\nrobot:$2y$31$LLtVNvsJvzs11BsBqUk9PO7ZlXLEoe7L9YqIBaFnBePiVjdZ7/wgW",
            "line 2: the cost of the hash is not between 4 and 14; use `htpasswd -B -C 10`",
        ),
        (":$2b$04$x", "line 1: the name is empty or too long"),
        ("", "it names no user"),
        ("# nobody\n", "it names no user"),
    ];
    for (text, expected) in table {
        assert_eq!(UserTable::parse(text), Err(expected.to_owned()), "{text}");
    }
    let twice = format!("a:{HASH}\na:{HASH}\n");
    assert_eq!(
        UserTable::parse(&twice),
        Err("line 2: the name stands there twice".into())
    );
}

#[test]
fn hashes_are_not_printed() {
    let table = UserTable::parse(&format!("robot:{HASH}")).unwrap();
    assert_eq!(format!("{table:?}"), "UserTable(1 users)");
}
