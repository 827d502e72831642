//! Trouble that was told: what is new, and what is over for so long that it is told, too.

use std::collections::HashMap;

use crate::{alarms::Alarm, store::AlarmRecord};

/// Looks in a row that do not find a trouble until it is over: what comes and goes is one trouble.
const LOOKS: u32 = 3;

/// Trouble that was told and is not over.
#[derive(Clone, Debug, Default)]
pub struct AlarmState {
    records: Vec<AlarmRecord>,
    /// Of those that the last looks did not find.
    absences: HashMap<(String, String), Absence>,
}

/// Looks that did not find a trouble.
#[derive(Clone, Copy, Debug, Default)]
struct Absence {
    looks: u32,
    /// The turn of the last one of them.
    turn: Option<u64>,
}

/// What became different.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlarmChanges {
    /// Trouble that is new.
    pub raised: Vec<Alarm>,
    /// Trouble that is over.
    pub recovered: Vec<Alarm>,
}

impl AlarmState {
    /// What was told before.
    pub fn new(records: Vec<AlarmRecord>) -> Self {
        Self {
            records,
            absences: HashMap::new(),
        }
    }

    /// What was told and is not over.
    pub fn records(&self) -> &[AlarmRecord] {
        &self.records
    }

    /// Compares the trouble that was told with what a look has found, and takes note of it. Trouble
    /// that goes on keeps its time. Looks of one turn are one look.
    pub fn compare(&mut self, found: &mut [Alarm], turn: u64) -> AlarmChanges {
        let mut changes = AlarmChanges::default();
        let mut records = Vec::new();
        for record in &self.records {
            let is_it = |alarm: &&mut Alarm| alarm.is_in(record);
            match found.iter_mut().find(is_it) {
                Some(alarm) => {
                    alarm.since = record.since;
                    self.absences.remove(&key(record));
                }
                None if self.absences.entry(key(record)).or_default().lasts(turn) => {
                    self.absences.remove(&key(record));
                    changes.recovered.extend(Alarm::from_record(record));
                }
                None => records.push(record.clone()),
            }
        }
        let is_known = |alarm: &&Alarm| self.records.iter().any(|record| alarm.is_in(record));
        let new = found.iter().filter(|alarm| !is_known(alarm));
        changes.raised.extend(new.cloned());
        records.extend(found.iter().map(Alarm::record));
        self.records = records;
        changes
    }
}

impl Absence {
    /// Counts a look, and says whether that is enough.
    fn lasts(&mut self, turn: u64) -> bool {
        if self.turn.replace(turn) != Some(turn) {
            self.looks += 1;
        }
        self.looks >= LOOKS
    }
}

fn key(record: &AlarmRecord) -> (String, String) {
    (record.topic.clone(), record.subject.clone())
}

#[cfg(test)]
mod tests;
