//! A schedule in words, where it is one that people say in words.

use crate::{
    config::Schedule,
    locales::{Language, words::ScheduleWords},
};

/// The schedule in words; none if only its expression says it.
pub(crate) fn words(schedule: &Schedule, language: Language) -> Option<String> {
    let words = &language.words().schedule;
    let written = schedule.to_string();
    if written.starts_with("every ") {
        let seconds = schedule.shortest_interval().as_secs();
        return Some(words.every(language.duration(i64::try_from(seconds).ok()?)));
    }
    let expanded = match written.as_str() {
        "@hourly" => "0 * * * *",
        "@daily" | "@midnight" => "0 0 * * *",
        "@weekly" => "0 0 * * 0",
        other => other,
    };
    let fields: Vec<&str> = expanded.split_whitespace().collect();
    let [minute, hour, "*", "*", weekday] = fields[..] else {
        return None;
    };
    let days = match weekday {
        "*" => None,
        days => Some(weekdays(days, words)?),
    };
    let text = match (step(minute, 60), step(hour, 24), numbers(minute, 59)) {
        (Some(step), _, _) if hour == "*" => words.every(language.duration(step * 60)),
        (_, _, Some(minutes)) if hour == "*" && minutes.len() == 1 => {
            words.hourly(format!("{:02}", minutes[0]))
        }
        (_, Some(step), Some(minutes)) if minutes.len() == 1 => {
            words.hours(language.duration(step * 3600), format!("{:02}", minutes[0]))
        }
        (_, _, Some(minutes)) => {
            let at = |hour: u32| {
                minutes
                    .iter()
                    .map(move |minute| format!("{hour:02}:{minute:02}"))
            };
            let times: Vec<String> = numbers(hour, 23)?.into_iter().flat_map(at).collect();
            let times = times.join(words.comma);
            return Some(match days {
                None => words.daily(times),
                Some(days) => words.on_days(days, times),
            });
        }
        _ => return None,
    };
    Some(match days {
        None => text,
        Some(days) => words.on_days(days, text),
    })
}

/// The step of `*/N`, if it divides the whole evenly, so that the words are true at its end, too.
fn step(field: &str, whole: i64) -> Option<i64> {
    let step: i64 = field.strip_prefix("*/")?.parse().ok()?;
    (step > 0 && whole % step == 0).then_some(step)
}

/// A short list of numbers.
fn numbers(field: &str, most: u32) -> Option<Vec<u32>> {
    let numbers: Vec<u32> = field
        .split(',')
        .map(|number| number.parse().ok().filter(|number| *number <= most))
        .collect::<Option<_>>()?;
    (numbers.len() <= 4).then_some(numbers)
}

/// Days of the week: `1-5`, or a list of numbers in which 0 and 7 are Sunday.
fn weekdays(field: &str, words: &ScheduleWords) -> Option<String> {
    let names = [
        words.sunday,
        words.monday,
        words.tuesday,
        words.wednesday,
        words.thursday,
        words.friday,
        words.saturday,
    ];
    let name = |number: u32| names.get(number as usize % 7).copied();
    if let Some((from, to)) = field.split_once('-') {
        let (from, to) = (from.parse().ok()?, to.parse().ok()?);
        return Some(words.range(name(from)?, name(to)?));
    }
    let days = numbers(field, 7)?.into_iter().map(name);
    Some(days.collect::<Option<Vec<_>>>()?.join(words.comma))
}

#[cfg(test)]
mod tests;
