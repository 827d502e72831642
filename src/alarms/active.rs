//! The alarms that are active now, shared with the pages and the API.

use parking_lot::Mutex;

use crate::{alarms::Alarm, status::Status};

/// Alarms that are active now.
#[derive(Debug, Default)]
pub struct ActiveAlarms(Mutex<Vec<Alarm>>);

impl ActiveAlarms {
    /// All of them.
    pub fn all(&self) -> Vec<Alarm> {
        let alarms = self.0.lock();
        alarms.clone()
    }

    /// Replaces all of them.
    pub fn set(&self, alarms: Vec<Alarm>) {
        *self.0.lock() = alarms;
    }
}

/// Messages of the alarms that are about no mirror of this status. A report has a line for each
/// mirror already.
pub fn beside_mirrors(alarms: &[Alarm], status: &Status) -> Vec<String> {
    let is_mirror = |alarm: &Alarm| {
        let mut mirrors = status.mirrors.iter();
        let name = alarm.subject.mirror();
        name.is_some_and(|name| mirrors.any(|mirror| mirror.name == *name))
    };
    let others = alarms.iter().filter(|alarm| !is_mirror(alarm));
    others.map(|alarm| alarm.message.clone()).collect()
}
