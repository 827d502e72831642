//! When mirrors run: cron expressions, in the zone of the file, right over changes of its clock.

use std::{fmt, time::Duration};

use chrono::{
    DateTime, Days, LocalResult, NaiveDateTime, NaiveTime, Offset as _, TimeDelta, TimeZone as _,
    Timelike as _, Utc,
};
use chrono_tz::Tz;
use croner::{
    Cron,
    parser::{CronParser, Seconds},
};

/// Words that stand for expressions.
const WORDS: [(&str, &str); 6] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
];
/// The fields of an expression, and what each may hold.
const FIELDS: [(&str, &str); 6] = [
    ("second", "0 to 59"),
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of the month", "1 to 31"),
    ("month", "1 to 12, or JAN to DEC"),
    (
        "day of the week",
        "0 to 7 (0 and 7 are Sunday), or SUN to SAT",
    ),
];
/// No zone ever put its clock by more, in hours.
const CHANGE: i64 = 4;
/// How long a schedule may take to come, in days: 29 February on a given day of the week is the rarest.
const HORIZON: u64 = 366 * 41;

/// When something runs, again and again.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// As it was written.
    written: String,
    cron: Cron,
    /// Whether it names one time of day: such a run is neither lost nor doubled when the clock is put.
    is_fixed: bool,
}

impl Schedule {
    /// Reads five fields, six with the seconds first, or one of the words such as `@hourly`; or says
    /// what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let written = text.trim();
        let word = WORDS.iter().find(|(word, _)| *word == written);
        let expression = word.map_or(written, |(_, expression)| expression);
        let mut fields: Vec<&str> = expression.split_whitespace().collect();
        match fields.len() {
            5 => fields.insert(0, "0"),
            6 => {}
            _ if written.starts_with('@') => {
                let known: Vec<&str> = WORDS.iter().map(|(word, _)| *word).collect();
                return Err(format!(
                    "unknown word `{written}`; there are {}",
                    known.join(", ")
                ));
            }
            count => {
                return Err(format!(
                    "it has {count} fields instead of five, or six with the seconds first"
                ));
            }
        }
        check(&fields)?;
        let cron = read(&fields.join(" ")).map_err(|error| error.to_string())?;
        let is_number = |field: &&str| field.bytes().all(|b| b.is_ascii_digit());
        let schedule = Self {
            written: written.into(),
            cron,
            is_fixed: fields[..3].iter().all(is_number),
        };
        if schedule
            .next_local(DateTime::UNIX_EPOCH.naive_utc())
            .is_none()
        {
            return Err("no day ever matches it".into());
        }
        Ok(schedule)
    }

    /// Once a day at a time.
    pub fn daily(at: NaiveTime) -> Self {
        let expression = format!("{} {} {} * * *", at.second(), at.minute(), at.hour());
        Self::parse(&expression)
            .unwrap_or_else(|_| unreachable!("every time of day is an expression"))
    }

    /// As six fields, the seconds first.
    pub fn pattern(&self) -> String {
        let word = WORDS.iter().find(|(word, _)| *word == self.written);
        let expression = word.map_or(&*self.written, |(_, expression)| expression);
        match expression.split_whitespace().count() {
            5 => format!("0 {expression}"),
            _ => expression.to_owned(),
        }
    }

    /// The first time after `after`. A time of day that a change of the clock skips comes at the
    /// first moment after the change; one that comes twice runs the first time. Expressions that name
    /// many times of a day go by the clock on the wall, and run in both of two hours of one name.
    pub fn next_after(&self, after: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        let local = |time: DateTime<Utc>| time.with_timezone(&zone).naive_local();
        let offset = |time: DateTime<Utc>| zone.offset_from_utc_datetime(&time.naive_utc()).fix();
        let margin = TimeDelta::hours(CHANGE);
        let is_steady =
            offset(after - margin) == offset(after) && offset(after) == offset(after + margin);
        let mut at = if is_steady {
            local(after)
        } else {
            local(after - margin)
        };
        let mut best: Option<DateTime<Utc>> = None;
        while let Some(next) = self.next_local(at) {
            if best.is_some_and(|best| is_steady || next > local(best) + margin) {
                break;
            }
            let moments = self.moments(next, zone).into_iter();
            let moments = moments.flatten().filter(|moment| *moment > after);
            best = moments.chain(best).min();
            at = next;
        }
        best
    }

    /// The time between the next two runs after `from`.
    pub fn interval(&self, from: DateTime<Utc>, zone: Tz) -> Duration {
        let first = self.next_after(from, zone);
        let second = first.and_then(|first| self.next_after(first, zone));
        let between = first.zip(second).map(|(first, second)| second - first);
        between
            .and_then(|between| between.to_std().ok())
            .unwrap_or_default()
    }

    /// The next time on a clock that is never put.
    fn next_local(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        let found = self
            .cron
            .find_next_occurrence(&after.and_utc(), false)
            .ok()?;
        let is_near = found.naive_utc() <= after.checked_add_days(Days::new(HORIZON))?;
        is_near.then(|| found.naive_utc())
    }

    /// The moments that a time on the wall stands for.
    fn moments(&self, local: NaiveDateTime, zone: Tz) -> [Option<DateTime<Utc>>; 2] {
        let utc = |time: DateTime<Tz>| Some(time.with_timezone(&Utc));
        match zone.from_local_datetime(&local) {
            LocalResult::Single(time) => [utc(time), None],
            LocalResult::Ambiguous(first, _) if self.is_fixed => [utc(first), None],
            LocalResult::Ambiguous(first, second) => [utc(first), utc(second)],
            LocalResult::None if self.is_fixed => [after_gap(local, zone), None],
            LocalResult::None => [None, None],
        }
    }
}

/// The first moment after a gap in which a local time lies.
fn after_gap(local: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    let before = local - TimeDelta::hours(CHANGE);
    let offset = zone.from_local_datetime(&before).earliest()?.offset().fix();
    // By the offset from before, the moment lies as far after the change as the time in the gap.
    let moment = (local - TimeDelta::seconds(offset.local_minus_utc().into())).and_utc();
    let (mut low, mut high) = (moment - TimeDelta::hours(CHANGE), moment);
    let is_after =
        |moment: DateTime<Utc>| zone.offset_from_utc_datetime(&moment.naive_utc()).fix() != offset;
    while high - low > TimeDelta::seconds(1) {
        let middle = low + (high - low) / 2;
        let middle = middle.with_nanosecond(0).unwrap_or(middle);
        if middle <= low {
            break;
        }
        match is_after(middle) {
            true => high = middle,
            false => low = middle,
        }
    }
    Some(high)
}

/// Tells which field is wrong, and what it may hold.
fn check(fields: &[&str]) -> Result<(), String> {
    for (at, (field, (name, holds))) in fields.iter().zip(FIELDS).enumerate() {
        let mut alone = ["*"; 6];
        alone[at] = field;
        if read(&alone.join(" ")).is_err() {
            return Err(format!("`{field}` is no {name}: it may hold {holds}"));
        }
    }
    let is_open = |field: &str| field == "*" || field == "?";
    if !is_open(fields[3]) && !is_open(fields[5]) {
        let text = "it restricts both the day of the month and the day of the week; programs disagree \
                    whether both must match";
        return Err(text.into());
    }
    Ok(())
}

fn read(pattern: &str) -> Result<Cron, croner::errors::CronError> {
    CronParser::builder()
        .seconds(Seconds::Required)
        .build()
        .parse(pattern)
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for Schedule {}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
