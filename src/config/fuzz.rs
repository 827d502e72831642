//! Hostile `mirror.toml` files and schedules.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::{Config, LoadOptions, Schedule};
use crate::oci::Repository;
use transship_fuzz::fuzz;

#[test]
fn any_file_is_accepted_or_explained() {
    fuzz("mirror_toml", |text| {
        // Secrets stay where they are: nothing is run, and no file is read.
        let options = LoadOptions::WITHOUT_SECRETS;
        match Config::parse_with(Path::new("mirror.toml"), text, options) {
            Ok(config) => {
                for route in config.mirrors.iter().flat_map(|mirror| &mirror.routes) {
                    for repository in route.targets.iter().chain([&route.source]) {
                        let again: Result<Repository, _> = repository.to_string().parse();
                        assert_eq!(again.as_ref(), Ok(repository));
                        assert!(!repository.path().split('/').any(|part| part == ".."));
                    }
                }
                true
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                false
            }
        }
    });
}

#[test]
fn accepted_schedule_ticks_both_ways() {
    let moment: DateTime<Utc> = "2026-03-29T00:59:59Z".parse().unwrap();
    let zones = [Tz::UTC, Tz::Europe__Berlin, Tz::Asia__Shanghai];
    let mut turn = 0;
    fuzz("cron", |text| {
        turn += 1;
        let schedule = match text.parse::<Schedule>() {
            Ok(schedule) => schedule,
            Err(error) => {
                assert!(!error.message.is_empty() && !error.help.is_empty());
                return false;
            }
        };
        let zone = zones[turn % zones.len()];
        let next = schedule.next_after(moment, zone);
        assert!(next.is_none_or(|next| next > moment), "{text:?}");
        let last = schedule.last_before(moment, zone);
        assert!(last.is_none_or(|last| last <= moment), "{text:?}");
        if let Some(next) = next {
            // A tick is the last before itself, and not after itself.
            assert_eq!(schedule.last_before(next, zone), Some(next), "{text:?}");
            assert_ne!(schedule.next_after(next, zone), Some(next), "{text:?}");
            assert!(schedule.next_after(next - TimeDelta::seconds(1), zone) <= Some(next));
        }
        true
    });
}
