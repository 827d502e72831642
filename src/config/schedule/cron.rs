//! Reads cron expressions, and says of a bad one which field is wrong and what it may hold.

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};

use crate::config::closest;

/// What the nicknames stand for.
const NICKNAMES: [(&str, &str); 5] = [
    ("@hourly", "0 0 * * * *"),
    ("@daily", "0 0 0 * * *"),
    ("@weekly", "0 0 0 * * 0"),
    ("@monthly", "0 0 0 1 * *"),
    ("@yearly", "0 0 0 1 1 *"),
];

const EXAMPLE: &str = "as in \"17 */2 * * *\", at minute 17 of every second hour";

/// Where the days stand among six fields.
const DAY_OF_MONTH: usize = 3;
const DAY_OF_WEEK: usize = 5;

/// A field of an expression.
struct CronField {
    name: &'static str,
    /// What it may hold.
    holds: &'static str,
    /// The greatest number in it. A greater step would be only the first value, which nobody
    /// means by `*/90`.
    most: u32,
    /// The words that it may hold.
    words: &'static [&'static str],
}

const FIELDS: [CronField; 6] = [
    CronField {
        name: "second",
        holds: "0 to 59, as in `0`, `*/15` or `0,30`",
        most: 59,
        words: &[],
    },
    CronField {
        name: "minute",
        holds: "0 to 59, as in `17`, `*/15` or `0,30`",
        most: 59,
        words: &[],
    },
    CronField {
        name: "hour",
        holds: "0 to 23, as in `3`, `*/2` or `8-18`",
        most: 23,
        words: &[],
    },
    CronField {
        name: "day of the month",
        holds: "1 to 31, as in `1` or `1,15`; `L` is the last day, `15W` the working day next to \
                the 15th",
        most: 31,
        words: &["L", "W"],
    },
    CronField {
        name: "month",
        holds: "1 to 12 or JAN to DEC, as in `1-6` or `JAN,JUL`",
        most: 12,
        words: &[
            "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
        ],
    },
    CronField {
        name: "day of the week",
        holds: "0 to 7 or SUN to SAT, where 0 and 7 are Sunday, as in `1-5` or `MON`; `MON#1` is \
                the first Monday of a month, `FRIL` the last Friday",
        most: 7,
        words: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", "L"],
    },
];

/// Why a text is no schedule, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}; {help}")]
pub struct BadSchedule {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl BadSchedule {
    pub(crate) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: help.into(),
        }
    }
}

/// Reads an expression, which is given back with six fields, seconds first.
pub(crate) fn parse(text: &str) -> Result<(Cron, String), BadSchedule> {
    let fields = match text.trim() {
        nickname if nickname.starts_with('@') => expand(nickname)?.to_owned(),
        "" => return Err(BadSchedule::new("it is empty", five_fields())),
        fields => six(fields)?,
    };
    let parts: Vec<&str> = fields.split(' ').collect();
    for (at, part) in parts.iter().enumerate() {
        check(at, part)?;
    }
    if ![parts[DAY_OF_MONTH], parts[DAY_OF_WEEK]]
        .iter()
        .any(|days| matches!(*days, "*" | "?"))
    {
        let message = "it restricts both the day of the month and the day of the week";
        let help = "write `*` for one of them: some cron programs take days that fit both, others \
                    those that fit either; several [[mirror]] may share what one schedule cannot say";
        return Err(BadSchedule::new(message, help));
    }
    let cron = parser().parse(&fields).map_err(|error| {
        // Each field was read by itself, so this is not expected.
        BadSchedule::new(error.to_string(), five_fields())
    })?;
    Ok((cron, fields))
}

fn parser() -> CronParser {
    CronParser::builder()
        .seconds(Seconds::Required)
        .year(Year::Disallowed)
        .build()
}

fn expand(nickname: &str) -> Result<&'static str, BadSchedule> {
    let known = NICKNAMES
        .iter()
        .find(|(name, _)| nickname.eq_ignore_ascii_case(name));
    if let Some((_, fields)) = known {
        return Ok(fields);
    }
    let names = NICKNAMES.map(|(name, _)| name);
    let help = match closest(nickname, names.into_iter()) {
        Some(name) => format!("did you mean \"{name}\"?"),
        None => format!(
            "the names are {}; or write five fields, {EXAMPLE}",
            names.join(", ")
        ),
    };
    Err(BadSchedule::new(format!("there is no `{nickname}`"), help))
}

/// The fields with one blank between each, and with seconds.
fn six(text: &str) -> Result<String, BadSchedule> {
    let parts: Vec<&str> = text.split_whitespace().collect();
    match parts.len() {
        5 => Ok(format!("0 {}", parts.join(" "))),
        6 => Ok(parts.join(" ")),
        _ if parts[0] == "every" && parts.len() == 2 => {
            let help = format!("write every = \"{}\" in place of `schedule`", parts[1]);
            Err(BadSchedule::new("it is an interval", help))
        }
        count => {
            let plural = if count == 1 { "" } else { "s" };
            Err(BadSchedule::new(
                format!("it has {count} field{plural}"),
                five_fields(),
            ))
        }
    }
}

fn five_fields() -> String {
    format!(
        "write minute, hour, day of the month, month and day of the week, {EXAMPLE}; six fields \
         have seconds first"
    )
}

/// Reads one field by itself, so that it is known which is wrong.
fn check(at: usize, part: &str) -> Result<(), BadSchedule> {
    let field = &FIELDS[at];
    let mut fields = ["*"; 6];
    fields[at] = part;
    // The parser knows names in every field, and takes an empty item for nothing.
    let is_right = has_known_words(part, field.words)
        && part.split(',').all(|item| !item.is_empty())
        && !part.starts_with('+')
        && steps(part).all(|step| step <= field.most)
        && parser().parse(&fields.join(" ")).is_ok();
    if is_right {
        return Ok(());
    }
    let message = format!("the {} cannot be `{part}`", field.name);
    let help = format!("the {} is {}", field.name, field.holds);
    Err(BadSchedule::new(message, help))
}

/// The steps in a list such as `*/15` or `0-30/5,45`.
fn steps(part: &str) -> impl Iterator<Item = u32> {
    let steps = part.split(',').filter_map(|item| item.split_once('/'));
    steps.filter_map(|(_, step)| step.parse().ok())
}

fn has_known_words(part: &str, known: &[&str]) -> bool {
    let part = part.to_ascii_uppercase();
    let mut words = part
        .split(|c: char| !c.is_alphabetic())
        .filter(|word| !word.is_empty());
    words.all(|word| {
        // `FRIL` is the last Friday.
        let name = word.strip_suffix('L').filter(|name| !name.is_empty());
        known.contains(&word) || (known.contains(&"L") && name.is_some_and(|n| known.contains(&n)))
    })
}
