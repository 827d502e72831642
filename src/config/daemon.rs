//! The keys that only the daemon needs: `[http]`, `[state] drain`, and when each mirror runs.

use std::{net::SocketAddr, path::Path, time::Duration};

use chrono::Utc;
use secrecy::SecretString;
use toml::Spanned;

use super::{
    Schedule,
    file::read_secret,
    problem::Problems,
    secret::{self, SecretSource},
    section::Section,
};

const LISTEN: &str = "127.0.0.1:9618";
const SCHEDULE_HELP: &str = "write minute, hour, day of the month, month and day of the week, as in \
                             \"17 */2 * * *\", or a word such as \"@hourly\"";
/// What the jitter is of the schedule's interval, and what it is at the most.
const JITTER: (u32, Duration) = (10, Duration::from_secs(60));

/// The daemon's pages, API and metrics.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Where they are; this machine alone unless said otherwise.
    pub listen: SocketAddr,
    /// What lets in who asks for runs; nobody without one.
    pub token: Option<SecretString>,
}

/// `[http]` as written.
#[derive(Debug, Default)]
pub(super) struct HttpEntry {
    listen: Option<Spanned<String>>,
    token: Option<Spanned<SecretSource>>,
}

/// What a mirror's entry says of its schedule, as written.
#[derive(Clone, Debug, Default)]
pub(super) struct ScheduleEntry {
    schedule: Option<Spanned<String>>,
    jitter: Option<Spanned<String>>,
    max_lag: Option<Spanned<String>>,
    paused: Option<Spanned<bool>>,
}

/// When a mirror runs.
pub(super) struct Timing {
    pub(super) schedule: Schedule,
    pub(super) jitter: Duration,
    pub(super) max_lag: Duration,
    pub(super) is_paused: bool,
}

impl HttpEntry {
    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let entry = Self {
            listen: section.take("listen", "an address and a port such as \"127.0.0.1:9618\""),
            token: read_secret(&mut section, "token"),
        };
        section.finish();
        entry
    }

    pub(super) fn validate(&self, path: &Path, problems: &mut Problems) -> HttpConfig {
        let default = SocketAddr::from(([127, 0, 0, 1], 9618));
        let listen = self.listen.as_ref().map_or(default, |written| {
            written.get_ref().parse().unwrap_or_else(|_| {
                let message = format!(
                    "`listen = \"{}\"` is no address and port",
                    written.get_ref()
                );
                let help =
                    format!("write an IP address and a port, as in \"{LISTEN}\" or \"[::]:9618\"");
                problems.error(written.span(), message, help);
                default
            })
        });
        let token = self.token.as_ref();
        HttpConfig {
            listen,
            token: token.and_then(|token| secret::read(token, "a token", path, problems)),
        }
    }
}

impl ScheduleEntry {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        Self {
            schedule: section.take("schedule", "a cron expression such as \"17 */2 * * *\""),
            jitter: section.take("jitter", "a duration such as \"30s\""),
            max_lag: section.take("max_lag", "a duration such as \"3h\""),
            paused: section.take("paused", "true or false"),
        }
    }

    /// Its own keys, and the others' where it has none.
    pub(super) fn or(self, defaults: &Self) -> Self {
        Self {
            schedule: self.schedule.or_else(|| defaults.schedule.clone()),
            jitter: self.jitter.or_else(|| defaults.jitter.clone()),
            max_lag: self.max_lag.or_else(|| defaults.max_lag.clone()),
            paused: self.paused.or_else(|| defaults.paused.clone()),
        }
    }

    pub(super) fn validate(&self, problems: &mut Problems) -> Timing {
        let schedule = schedule(self.schedule.as_ref(), problems);
        let interval = schedule.interval(Utc::now(), chrono_tz::UTC);
        let (part, most) = JITTER;
        Timing {
            jitter: duration(
                self.jitter.as_ref(),
                "jitter",
                (interval / part).min(most),
                problems,
            ),
            max_lag: duration(self.max_lag.as_ref(), "max_lag", interval * 2, problems),
            is_paused: self.paused.as_ref().is_some_and(|paused| *paused.get_ref()),
            schedule,
        }
    }
}

fn schedule(written: Option<&Spanned<String>>, problems: &mut Problems) -> Schedule {
    let usual = || Schedule::parse("@hourly").unwrap_or_else(|_| unreachable!("it is a constant"));
    let Some(written) = written else {
        return usual();
    };
    Schedule::parse(written.get_ref()).unwrap_or_else(|reason| {
        let message = format!("bad `schedule`: {reason}");
        problems.error(written.span(), message, SCHEDULE_HELP);
        usual()
    })
}

/// Reads a duration, which may be none at all.
pub(super) fn duration(
    written: Option<&Spanned<String>>,
    key: &str,
    default: Duration,
    problems: &mut Problems,
) -> Duration {
    written.map_or(default, |written| {
        humantime::parse_duration(written.get_ref()).unwrap_or_else(|_| {
            let message = format!("`{key} = \"{}\"` is not a duration", written.get_ref());
            problems.error(
                written.span(),
                message,
                "write a duration such as \"30s\" or \"3h\"",
            );
            default
        })
    })
}
