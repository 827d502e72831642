//! A clock for what the store remembers: days pass, and nobody sleeps.

use crate::support::programs::transship::Transship;

/// The columns of the store that hold instants.
const INSTANTS: [(&str, &[&str]); 9] = [
    (
        "tags",
        &[
            "lagging_since",
            "mirrored_at",
            "checked_at",
            "verified_at",
            "referrers_at",
            "examined_at",
            "damaged_at",
            "prunable_since",
        ],
    ),
    ("runs", &["started_at", "finished_at"]),
    ("changes", &["at"]),
    ("repositories", &["named_at"]),
    ("images", &["named_at"]),
    ("thinnings", &["at"]),
    ("suspect_content", &["refused_at"]),
    ("alarms", &["since"]),
    ("demand", &["first_pull", "last_pull"]),
];

/// Lets everything that the store remembers be so many seconds older, or younger.
pub fn shift(transship: &Transship, seconds: i64) {
    let mut sql = "BEGIN;".to_owned();
    for (table, columns) in INSTANTS {
        for column in columns {
            sql += &format!(
                "UPDATE {table} SET {column} = {column} - {seconds} WHERE {column} > 1000000000;"
            );
        }
    }
    transship.ask_store(&(sql + "COMMIT;"));
}
