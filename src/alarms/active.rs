//! The alarms that are active now, and what is muted, shared with the pages and the API.

use parking_lot::Mutex;

use crate::{alarms::Alarm, locales::Localized, status::Status, store::Mute};

/// Alarms that are active now, and the mutes that were in force at the last check.
#[derive(Debug, Default)]
pub struct ActiveAlarms {
    alarms: Mutex<Vec<Alarm>>,
    mutes: Mutex<Vec<Mute>>,
}

impl ActiveAlarms {
    /// All of them.
    pub fn all(&self) -> Vec<Alarm> {
        self.alarms.lock().clone()
    }

    /// Replaces all of them.
    pub fn set(&self, alarms: Vec<Alarm>) {
        *self.alarms.lock() = alarms;
    }

    /// The mutes that are not over at `now`, in seconds since 1970.
    pub fn mutes(&self, now: i64) -> Vec<Mute> {
        let mutes = self.mutes.lock();
        let mutes = mutes.iter().filter(|mute| mute.until > now);
        mutes.cloned().collect()
    }

    /// Replaces all mutes.
    pub fn set_mutes(&self, mutes: Vec<Mute>) {
        *self.mutes.lock() = mutes;
    }
}

/// Messages of the alarms that are about no mirror of this status. A report has a line for each
/// mirror already.
pub fn beside_mirrors(alarms: &[Alarm], status: &Status) -> Vec<Localized<String>> {
    let is_mirror = |alarm: &Alarm| {
        let mut mirrors = status.mirrors.iter();
        let name = alarm.subject.mirror();
        name.is_some_and(|name| mirrors.any(|mirror| mirror.name == *name))
    };
    let others = alarms.iter().filter(|alarm| !is_mirror(alarm));
    others.map(|alarm| alarm.message.clone()).collect()
}
