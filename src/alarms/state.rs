//! Debounces alarms: which are new, and which have been gone long enough to announce recovery.

use std::{collections::HashMap, time::Duration};

use crate::{
    alarms::{Alarm, AlarmSubject},
    config::Topic,
};

/// Checks in a row without an alarm until it is over: an alarm that comes and goes is one alarm.
const CHECKS: u32 = 3;

/// Alarms that were announced and are not over, and those that wait to be announced.
#[derive(Clone, Debug, Default)]
pub struct AlarmState {
    announced: Vec<Alarm>,
    /// When the first of the new alarms was found. They wait for others to join them.
    gathering_since: Option<i64>,
    /// Of announced alarms that the last checks did not find.
    absences: HashMap<(Topic, AlarmSubject), Absence>,
}

/// Checks that did not find an alarm.
#[derive(Clone, Copy, Debug, Default)]
struct Absence {
    checks: u32,
    /// The tick of the last one of them.
    tick: Option<u64>,
}

/// When a check takes place.
#[derive(Clone, Copy, Debug)]
pub struct CheckTime {
    /// The tick of the scheduler. Checks of one tick count once.
    pub tick: u64,
    /// Seconds since 1970.
    pub now: i64,
}

/// What a check changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlarmChanges {
    /// Alarms to announce.
    pub raised: Vec<Alarm>,
    /// Alarms that are over.
    pub recovered: Vec<Alarm>,
    /// Announced alarms of mirrors that an alarm of a registry explains now. Nobody announces that.
    pub absorbed: Vec<Alarm>,
    /// Announced alarms of registries, with the mirrors that joined them since.
    pub joined: Vec<Joined>,
}

/// An announced alarm that covers more mirrors now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The alarm; its mirrors are those that joined.
    pub alarm: Alarm,
    /// The mirrors that it was announced for.
    pub known: Vec<std::sync::Arc<str>>,
}

impl AlarmChanges {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl AlarmState {
    /// The state of an earlier process.
    pub fn new(announced: Vec<Alarm>) -> Self {
        Self {
            announced,
            ..Self::default()
        }
    }

    /// Alarms that were announced and are not over.
    pub fn announced(&self) -> &[Alarm] {
        &self.announced
    }

    /// Compares the announced alarms with those that a check found. New alarms are gathered for
    /// `group_wait` before they are announced together. Alarms that go on keep their time. What
    /// `is_held` names is neither announced nor over until it is no longer held.
    pub fn compare(
        &mut self,
        found: &mut [Alarm],
        at: CheckTime,
        group_wait: Duration,
        is_held: impl Fn(&Alarm) -> bool,
    ) -> AlarmChanges {
        let mut changes = AlarmChanges::default();
        let mut announced = Vec::new();
        for mut alarm in std::mem::take(&mut self.announced) {
            let key = (alarm.topic, alarm.subject.clone());
            if let Some(current) = found.iter_mut().find(|other| other.is_same(&alarm)) {
                self.absences.remove(&key);
                current.since = alarm.since;
                if !is_held(current) {
                    changes.joined.extend(joined(&alarm, current));
                    alarm.update(current);
                }
                announced.push(alarm);
            } else if found.iter().any(|other| other.explains(&alarm)) {
                self.absences.remove(&key);
                announced.push(alarm);
            } else if is_held(&alarm) {
                announced.push(alarm);
            } else if self
                .absences
                .entry(key.clone())
                .or_default()
                .is_over(at.tick)
            {
                self.absences.remove(&key);
                changes.recovered.push(alarm);
            } else {
                announced.push(alarm);
            }
        }
        self.announced = announced;
        let free = found.iter().filter(|alarm| !is_held(alarm)).cloned();
        self.gather(&free.collect::<Vec<_>>(), at.now, group_wait, &mut changes);
        changes.absorbed = self.absorb(found);
        changes
    }

    /// Takes out the alarms of mirrors that an announced alarm of a registry explains.
    fn absorb(&mut self, found: &[Alarm]) -> Vec<Alarm> {
        let is_announced = |alarm: &&Alarm| self.announced.iter().any(|known| known.is_same(alarm));
        let causes: Vec<Alarm> = found.iter().filter(is_announced).cloned().collect();
        let is_explained = |alarm: &mut Alarm| causes.iter().any(|cause| cause.explains(alarm));
        self.announced.extract_if(.., is_explained).collect()
    }

    fn gather(&mut self, found: &[Alarm], now: i64, wait: Duration, changes: &mut AlarmChanges) {
        let is_known = |alarm: &&Alarm| self.announced.iter().any(|known| known.is_same(alarm));
        let new: Vec<Alarm> = found
            .iter()
            .filter(|alarm| !is_known(alarm))
            .cloned()
            .collect();
        if new.is_empty() {
            self.gathering_since = None;
            return;
        }
        let waited = now - *self.gathering_since.get_or_insert(now);
        if waited >= i64::try_from(wait.as_secs()).unwrap_or(i64::MAX) {
            self.gathering_since = None;
            self.announced.extend(new.iter().cloned());
            changes.raised = new;
        }
    }
}

impl Alarm {
    /// Takes over what a later check found. Mirrors stay known, since they were announced.
    fn update(&mut self, current: &Self) {
        // The recovery counts all mirrors that it was about, and not the last ones.
        if current.mirrors.len() >= self.mirrors.len() {
            self.message.clone_from(&current.message);
        }
        let new = current.mirrors.iter();
        let new: Vec<_> = new
            .filter(|name| !self.mirrors.contains(name))
            .cloned()
            .collect();
        self.mirrors.extend(new);
    }
}

/// The mirrors that joined an announced alarm, if it is known which ones it was announced for.
fn joined(announced: &Alarm, current: &Alarm) -> Option<Joined> {
    let new = current.mirrors.iter();
    let new: Vec<_> = new
        .filter(|name| !announced.mirrors.contains(name))
        .cloned()
        .collect();
    let is_known = !announced.mirrors.is_empty() && !new.is_empty();
    is_known.then(|| Joined {
        alarm: Alarm {
            mirrors: new,
            ..current.clone()
        },
        known: announced.mirrors.clone(),
    })
}

impl Absence {
    /// Counts a check, and returns whether the alarm is over.
    fn is_over(&mut self, tick: u64) -> bool {
        if self.tick.replace(tick) != Some(tick) {
            self.checks += 1;
        }
        self.checks >= CHECKS
    }
}

#[cfg(test)]
mod tests;
