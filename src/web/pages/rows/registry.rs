//! A registry as a table row: its login, its limits, and what fails there.

use std::collections::BTreeSet;

use crate::{
    config::Config,
    locales::{Moment, words::Words},
    oci::RegistryName,
    registry::{
        RegistryHealth,
        settings::{Credential, Login, LoginSource},
    },
    status::{MirrorStatus, Status},
    store::{Mute, MuteKind},
    sync::Usage,
    web::{
        App,
        pages::{page_request::PageRequest, rows::mirror_row::Badge, rows::transfer::rate},
    },
};

/// One registry.
#[derive(Debug)]
pub(crate) struct RegistryRow {
    pub(crate) name: String,
    pub(crate) state: Badge,
    pub(crate) login: String,
    /// Pulls left, of how many.
    pub(crate) quota: Option<String>,
    pub(crate) paused_until: Option<Moment>,
    /// Bytes per second in flight; none if nothing moves.
    pub(crate) rate: Option<String>,
    /// Until when its alarms are not sent.
    pub(crate) muted_until: Option<Moment>,
    /// The last error that stands, and how many mirrors it concerns.
    pub(crate) error: Option<(String, String)>,
}

/// The registries of all mirrors, by name.
pub(crate) fn rows(
    app: &App,
    config: &Config,
    status: &Status,
    request: &PageRequest,
) -> Vec<RegistryRow> {
    let mutes = app.alarms.mutes(status.now);
    let names = config.mirrors.iter().flat_map(|mirror| mirror.registries());
    let names: BTreeSet<String> = names.collect();
    let parsed = names.iter().filter_map(|name| name.parse().ok());
    parsed
        .map(|name: RegistryName| row(&name, (app, config), (status, &mutes), request))
        .collect()
}

fn row(
    name: &RegistryName,
    (app, config): (&App, &Config),
    (status, mutes): (&Status, &[Mute]),
    request: &PageRequest,
) -> RegistryRow {
    let words = request.words();
    let health = app.sync.registries().health(name);
    let quota = app.sync.registries().quota(name);
    let moving = app.sync.activity().moving();
    let is_here = |source: &RegistryName, target: &RegistryName| source == name || target == name;
    let here = moving
        .values()
        .filter(|blob| is_here(&blob.source, blob.target.registry()));
    let bytes_per_second: f64 = here.map(|blob| blob.bytes_per_second()).sum();
    let moment = |at: i64| request.language.moment(at, status.now, config.timezone);
    let failing = failing(name, status);
    RegistryRow {
        name: name.to_string(),
        state: badge(health, !failing.is_empty(), words),
        login: login(&config.registry(name).login, words),
        quota: quota.map(|quota| match quota.limit {
            Some(limit) => words.registry.quota_of(quota.remaining, limit),
            None => quota.remaining.to_string(),
        }),
        paused_until: health.paused_until.map(|until| moment(until.timestamp())),
        muted_until: muted_until(name.as_str(), mutes).map(moment),
        rate: (bytes_per_second >= 1.0).then(|| rate(bytes_per_second)),
        error: failing.first().and_then(|mirror| {
            let count = words.overview.mirrors(failing.len() as u64);
            Some((mirror.error(request.language)?, count))
        }),
    }
}

/// Until when a registry is muted, if it is.
pub(crate) fn muted_until(name: &str, mutes: &[Mute]) -> Option<i64> {
    let is_it = |mute: &&Mute| mute.kind == MuteKind::Registry && mute.name == name;
    mutes.iter().find(is_it).map(|mute| mute.until)
}

/// The mirrors whose last run failed at a registry, the latest first.
fn failing<'a>(name: &RegistryName, status: &'a Status) -> Vec<&'a MirrorStatus> {
    let is_here =
        |mirror: &&MirrorStatus| mirror.last_error_registry.as_deref() == Some(name.as_str());
    let mut failing: Vec<&MirrorStatus> = status.mirrors.iter().filter(is_here).collect();
    failing.sort_by_key(|mirror| std::cmp::Reverse(mirror.last_attempt));
    failing
}

fn badge(health: RegistryHealth, is_failing: bool, words: &'static Words) -> Badge {
    let (class, sign, text) = if health.login_refused {
        ("bad", "✕", words.registry.login_refused)
    } else if health.paused_until.is_some() {
        ("warning", "◐", words.registry.paused)
    } else if is_failing {
        ("warning", "▲", words.registry.errors)
    } else {
        ("good", "●", words.registry.usable)
    };
    Badge { class, sign, text }
}

/// How transship logs in, without any secret.
fn login(login: &Login, words: &'static Words) -> String {
    match (&login.credential, &login.renewal) {
        (Credential::Basic { username, .. }, _) => words.registry.user(username),
        (Credential::IdentityToken(_) | Credential::RegistryToken(_), _) => {
            words.registry.token.into()
        }
        (Credential::Anonymous, Some(renewal)) if login.is_pending => match renewal.source() {
            LoginSource::DockerConfig => words.registry.docker_config.into(),
            LoginSource::Helper(name) => words.registry.helper(name),
        },
        (Credential::Anonymous, _) => words.registry.anonymous.into(),
    }
}

/// How much of the traffic budget is used.
pub(crate) fn traffic(usage: &Usage, words: &'static Words) -> String {
    let budget = bytesize::ByteSize(usage.budget.bytes).display().si();
    words.registry.traffic(usage.percent(), budget, usage.ends)
}
