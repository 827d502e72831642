//! Trouble that was told: what is new, and what is over for so long that it is told, too.

use std::collections::HashMap;

use super::Alarm;
use crate::store::AlarmRecord;

/// Looks in a row that do not find a trouble until it is over: what comes and goes is one trouble.
const LOOKS: u32 = 3;

/// Trouble that was told and is not over.
#[derive(Clone, Debug, Default)]
pub struct Told {
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

impl Told {
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
mod tests {
    use super::*;
    use crate::config::Topic;

    fn alarm(since: i64) -> Alarm {
        Alarm {
            topic: Topic::Lag,
            subject: "app".into(),
            since,
            message: "app lags".into(),
        }
    }

    #[test]
    fn trouble_is_told_once_and_keeps_its_time() {
        let mut told = Told::default();
        let first = told.compare(&mut [alarm(90)], 1);
        assert_eq!((first.raised.len(), first.recovered.len()), (1, 0));
        let mut still = [alarm(100)];
        assert_eq!(told.compare(&mut still, 2), AlarmChanges::default());
        assert_eq!(still[0].since, 90);
    }

    #[test]
    fn trouble_that_comes_and_goes_is_one_trouble() {
        let mut told = Told::default();
        told.compare(&mut [alarm(0)], 1);
        for turn in 0..10 {
            assert_eq!(told.compare(&mut [], turn * 4), AlarmChanges::default());
            assert_eq!(told.compare(&mut [], turn * 4 + 1), AlarmChanges::default());
            let again = told.compare(&mut [alarm(turn as i64)], turn * 4 + 2);
            assert_eq!(again, AlarmChanges::default());
        }
    }

    #[test]
    fn trouble_is_over_when_three_turns_in_a_row_do_not_find_it() {
        let mut told = Told::new(vec![alarm(7).record()]);
        let over = [1, 1, 1, 1, 2, 3, 4].map(|turn| told.compare(&mut [], turn).recovered);
        let last = over.iter().position(|over| *over == [alarm(7)]);
        assert_eq!(last, Some(5), "{over:?}");
        assert_eq!(over.iter().flatten().count(), 1);
        assert_eq!(told.records(), []);
    }
}
