//! What people read of alarms that are new, and of those that are over.

use crate::{
    alarms::Alarm,
    config::Topic,
    status::{Document, Line, Severity, format},
};

/// Lines of one message. The rest is counted: the status page lists all of it.
const LINES: usize = 20;

/// The message for new alarms of one kind.
pub fn raised(alarms: &[Alarm]) -> Document {
    let severity = match alarms.iter().any(|alarm| alarm.topic == Topic::Throttled) {
        true => Severity::Warning,
        false => Severity::Bad,
    };
    let mut document = Document::new(title(alarms, "transship", "alarms"), severity);
    if alarms.len() > 1 {
        list(&mut document, alarms, |alarm| alarm.message.clone());
    }
    document
}

/// The message for alarms that are over at `now`, in seconds since 1970.
pub fn recovered(alarms: &[Alarm], now: i64) -> Document {
    let mut document = Document::new(title(alarms, "recovered", "recoveries"), Severity::Good);
    list(&mut document, alarms, |alarm| {
        let lasted = format::duration((now - alarm.since).max(0));
        format!("over after {lasted}: {}", alarm.message)
    });
    document
}

fn list(document: &mut Document, alarms: &[Alarm], line: impl Fn(&Alarm) -> String) {
    let section = document.add_section();
    for alarm in alarms.iter().take(LINES) {
        section.line(Line::default().plain(line(alarm)));
    }
    if let Some(more) = alarms.len().checked_sub(LINES).filter(|more| *more > 0) {
        section.line(format!("and {more} more"));
    }
}

fn title(alarms: &[Alarm], one: &str, many: &str) -> String {
    match alarms {
        [single] => format!("{one}: {}", single.message),
        several => format!("transship: {} {many}", several.len()),
    }
}

#[cfg(test)]
mod tests;
