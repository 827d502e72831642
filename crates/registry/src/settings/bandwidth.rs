//! How many bytes per second may move, by the time of day.

use std::{num::NonZeroU64, sync::Arc};

use chrono::{DateTime, NaiveTime, Utc};
use chrono_tz::Tz;

/// How fast bytes may move, by the time of day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bandwidth {
    windows: Arc<[BandwidthWindow]>,
    zone: Tz,
}

/// A rate, and the part of the day in which it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BandwidthWindow {
    /// From the first time to before the second, over midnight if the second is earlier; `None` is
    /// the whole day.
    pub hours: Option<(NaiveTime, NaiveTime)>,
    /// The rate.
    pub bytes_per_second: NonZeroU64,
}

impl Bandwidth {
    /// Rates by time of day in a zone. The first window that a moment is in applies; outside of all
    /// windows there is no limit.
    pub fn new(windows: impl Into<Arc<[BandwidthWindow]>>, zone: Tz) -> Self {
        let windows = windows.into();
        Self { windows, zone }
    }

    /// One rate for the whole day.
    pub fn constant(bytes_per_second: NonZeroU64) -> Self {
        let window = BandwidthWindow {
            hours: None,
            bytes_per_second,
        };
        Self::new([window], Tz::UTC)
    }

    /// Bytes per second at a moment; `None` for no limit.
    pub fn at(&self, moment: DateTime<Utc>) -> Option<NonZeroU64> {
        // Most settings have one rate, which needs no clock.
        match &*self.windows {
            [
                BandwidthWindow {
                    hours: None,
                    bytes_per_second,
                },
            ] => Some(*bytes_per_second),
            windows => {
                let time = moment.with_timezone(&self.zone).time();
                let window = windows.iter().find(|window| window.holds(time));
                window.map(|window| window.bytes_per_second)
            }
        }
    }
}

impl BandwidthWindow {
    fn holds(&self, time: NaiveTime) -> bool {
        self.hours.is_none_or(|(from, to)| match from < to {
            true => from <= time && time < to,
            false => from <= time || time < to,
        })
    }
}
