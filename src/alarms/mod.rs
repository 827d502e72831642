//! What has become different for the worse or the better.

mod active;
pub(crate) mod alarm;
pub(crate) mod state;

pub use crate::alarms::active::{ActiveAlarms, beside_mirrors};
pub use crate::alarms::alarm::{Alarm, Surroundings, alarms, raised, recovered};
pub use crate::alarms::state::{AlarmChanges, AlarmState};
