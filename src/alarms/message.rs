//! What people read of alarms that are new, and of those that are over.

use crate::{
    alarms::Alarm,
    config::Topic,
    locales::{Language, Localized},
    status::{Document, Line, Severity},
};

/// Lines of one message. The rest is counted: the status page lists all of it.
const LINES: usize = 20;

/// The message for new alarms of one kind.
pub fn raised(alarms: &[Alarm]) -> Localized<Document> {
    let severity = match alarms.iter().any(|alarm| alarm.topic == Topic::Throttled) {
        true => Severity::Warning,
        false => Severity::Bad,
    };
    Localized::new(|language| {
        let words = &language.words().alarm;
        let title = match alarms {
            [single] => words.raised(single.message.get(language)),
            several => words.raised_many(several.len()),
        };
        let mut document = Document::new(title, severity);
        if alarms.len() > 1 {
            list(&mut document, alarms, language, |alarm| {
                alarm.message.get(language).clone()
            });
        }
        document
    })
}

/// The message for alarms that are over at `now`, in seconds since 1970.
pub fn recovered(alarms: &[Alarm], now: i64) -> Localized<Document> {
    Localized::new(|language| {
        let words = &language.words().alarm;
        let title = match alarms {
            [single] => words.recovered(single.message.get(language)),
            several => words.recovered_many(several.len()),
        };
        let mut document = Document::new(title, Severity::Good);
        list(&mut document, alarms, language, |alarm| {
            let lasted = language.duration((now - alarm.since).max(0));
            words.over_after(lasted, alarm.message.get(language))
        });
        document
    })
}

fn list(
    document: &mut Document,
    alarms: &[Alarm],
    language: Language,
    line: impl Fn(&Alarm) -> String,
) {
    let section = document.add_section();
    for alarm in alarms.iter().take(LINES) {
        section.line(Line::default().plain(line(alarm)));
    }
    if let Some(more) = alarms.len().checked_sub(LINES).filter(|more| *more > 0) {
        section.line(language.words().frame.more(more as u64));
    }
}

#[cfg(test)]
mod tests;
