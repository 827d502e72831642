//! What became worse or better: which alarms there are, which are new, and which are over.

mod active;
mod alarm;
mod message;
mod mute;
mod outage;
mod rules;
mod state;
mod subject;

pub use crate::alarms::active::{ActiveAlarms, beside_mirrors};
pub use crate::alarms::alarm::Alarm;
pub use crate::alarms::message::{raised, recovered};
pub use crate::alarms::mute::{Silence, find_muted, find_muted_registry, is_muted};
pub use crate::alarms::rules::{AlarmInputs, find_alarms};
pub use crate::alarms::state::{AlarmChanges, AlarmState, CheckTime, Joined};
pub use crate::alarms::subject::AlarmSubject;
