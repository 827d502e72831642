//! `/`: the status of every mirror, worst first.

use askama::Template;
use axum::{
    extract::State as Held,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use chrono::Utc;
use chrono_tz::Tz;

use crate::{
    alarms::Alarm,
    config::{Config, Topic},
    locales::words::Words,
    status::{MirrorStatus, State, Status, format::bytes},
    store::Mute,
    web::{
        App,
        pages::{
            self, Frame,
            action::{self, Access},
            filter::{self, FilterLink},
            page_request::{PageRequest, mirror_path},
            pulls,
            rows::{
                cluster::{self, ClusterRow},
                mirror_row::{self, MirrorRow},
                registry::{self, RegistryRow},
                run_strip::{self, RunShape},
                transfer::{self, TransferRow},
                worker::{self, WorkerRow},
            },
            sort::{self, SortLink},
        },
    },
};

/// Mirrors on one page.
const ROWS: usize = 100;
/// Transfers that are shown.
const TRANSFERS: usize = 20;
/// Lines about alarms. The last one counts those that have no line.
const ALARM_LINES: usize = 5;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview<'a> {
    frame: Frame<'a>,
    mood: &'static str,
    access: Access,
    notice: Option<&'static str>,
    sums: String,
    alarms: Vec<AlarmRow>,
    more_alarms: Option<String>,
    config_error: Option<String>,
    /// The keys of `mirror.toml` that take effect at the next start; empty for none.
    restart: String,
    mutes: Vec<String>,
    transfers: Vec<TransferRow>,
    more_transfers: Option<String>,
    choices: Vec<FilterLink>,
    sought: &'a str,
    columns: Vec<SortLink>,
    rows: Vec<MirrorRow>,
    shapes: Vec<RunShape>,
    pager: Pager,
    clusters: Vec<ClusterRow>,
    cluster_columns: [&'static str; 5],
    workers: Vec<WorkerRow>,
    registries: Vec<RegistryRow>,
    is_any_muted: bool,
    traffic: Option<String>,
    /// The pulls of a day, and the link to their page, where there is a gateway.
    pulls: Option<(String, String)>,
}

/// An alarm, with a link to its mirror.
#[derive(Debug)]
struct AlarmRow {
    message: String,
    since: String,
    href: Option<String>,
}

/// The links through the pages of a long list.
#[derive(Debug)]
pub(crate) struct Pager {
    /// Index of the first entry of the page.
    pub(crate) start: usize,
    /// The number of the page; none if there is only one.
    pub(crate) text: Option<String>,
    pub(crate) previous: Option<String>,
    pub(crate) next: Option<String>,
}

/// The status page.
pub(crate) async fn overview(
    Held(app): Held<App>,
    mut request: PageRequest,
    headers: HeaderMap,
) -> Response {
    let now = Utc::now().timestamp();
    let config = app.config.load_full();
    let status = app.board.status(&config, now);
    let moving = app.sync.activity().moving();
    let is_running = status.mirrors.iter().any(|mirror| mirror.is_under_way);
    request.refresh_while(is_running || !moving.is_empty());
    let sought = request.get("q").unwrap_or_default();
    let mut found = filter::found(&status, &config, sought, request.get("state"));
    sort::sort(&mut found, request.get("sort"));
    let pager = Pager::new(&request, found.len(), ROWS);
    let rows = found.iter().skip(pager.start).take(ROWS);
    let mutes = app.alarms.mutes(now);
    let rows = rows.map(|mirror| MirrorRow::new((mirror, &mutes), &request, now, config.timezone));
    let mut transfers = transfer::rows(moving.values(), &request);
    let hidden = transfers.len().saturating_sub(TRANSFERS) as u64;
    transfers.truncate(TRANSFERS);
    let traffic = app.sync.usage(&config).await.ok().flatten();
    let alarms = app.alarms.all();
    let mut lines = alarm_rows(&alarms, &config, &request, now);
    let more_alarms = match lines.len() {
        0..=ALARM_LINES => 0,
        count => count + 1 - ALARM_LINES,
    };
    lines.truncate(lines.len() - more_alarms);
    let pulls = pulls::line(&app, &config, &request, now).await;
    let verdict = verdict(&status, &request);
    let registries = registry::rows(&app, &config, &status, &request);
    let page = Overview {
        mood: mood(&status, &alarms),
        access: Access::of(&config, &headers),
        notice: action::notice(&request),
        sums: sums(&status, app.board.total_size(), request.words()),
        config_error: app.board.rejected_config().map(|rejected| rejected.report),
        restart: app.board.waiting_for_restart().join(", "),
        mutes: mute_texts(&mutes, &request, now, config.timezone),
        more_alarms: (more_alarms > 0).then(|| request.words().frame.more(more_alarms as u64)),
        alarms: lines,
        transfers,
        more_transfers: (hidden > 0).then(|| request.words().frame.more(hidden)),
        choices: filter::choices(&status, &request),
        sought,
        columns: sort::links(&request),
        rows: rows.collect(),
        clusters: cluster::rows(&status, &request, config.timezone),
        cluster_columns: cluster::columns(request.words()),
        workers: worker::rows(&app.coordination, request.words()),
        is_any_muted: registries.iter().any(|row| row.muted_until.is_some()),
        registries,
        pulls: pulls.map(|line| (line, request.link("/pulls", &[]))),
        traffic: traffic.map(|usage| registry::traffic(&usage, request.words())),
        shapes: run_strip::shapes(request.words()),
        pager,
        frame: Frame::live(&request, verdict, &app, now),
    };
    pages::html(StatusCode::OK, &request, &page)
}

impl Pager {
    /// The requested page, or the last one.
    pub(crate) fn new(request: &PageRequest, count: usize, on_page: usize) -> Self {
        let pages = count.div_ceil(on_page).max(1) as u64;
        let page = request.page().min(pages);
        let to = |page: u64| request.here("page", Some(&page.to_string()));
        Self {
            start: (page as usize - 1) * on_page,
            text: (pages > 1).then(|| request.words().frame.page(page, pages)),
            previous: (page > 1).then(|| to(page - 1)),
            next: (page < pages).then(|| to(page + 1)),
        }
    }
}

/// The status of all mirrors in one line.
fn verdict(status: &Status, request: &PageRequest) -> String {
    let words = request.words();
    let all = status.mirrors.len() as u64;
    let states = [
        State::Behind,
        State::Damaged,
        State::Failing,
        State::Unfinished,
        State::NeverSynced,
    ];
    let mut parts = Vec::new();
    for state in states {
        let are = status.mirrors.iter().filter(|mirror| mirror.state == state);
        match (are.count() as u64, mirror_row::word(state, words)) {
            (0, _) => {}
            (some, word) if parts.is_empty() => parts.push(words.overview.some_of(some, all, word)),
            (some, word) => parts.push(words.overview.some(some, word)),
        }
    }
    if parts.is_empty() {
        return words.overview.all_in_sync(all);
    }
    let worst = status
        .mirrors
        .iter()
        .max_by_key(|mirror| mirror.lag_seconds);
    if let Some(worst) = worst.filter(|mirror| mirror.lag_seconds > 0) {
        let lag = request.language.duration(worst.lag_seconds);
        parts.push(words.overview.worst(&worst.name, &lag));
    }
    parts.join(words.overview.comma)
}

/// The severity of that status.
fn mood(status: &Status, alarms: &[Alarm]) -> &'static str {
    let is_late = |mirror: &MirrorStatus| !mirror.is_within_objective();
    if !alarms.is_empty() || status.mirrors.iter().any(is_late) {
        "bad"
    } else if status.others() > 0 {
        "warning"
    } else {
        "good"
    }
}

fn sums(status: &Status, size: u64, words: &'static Words) -> String {
    let tags = |mirror: &MirrorStatus| mirror.targets.iter().map(|t| t.tags).sum::<u64>();
    let mirrors = &status.mirrors;
    let mut parts = vec![
        words.overview.mirrors(mirrors.len() as u64),
        words.overview.tags(mirrors.iter().map(tags).sum()),
    ];
    // Sizes are known of what this store saw being copied.
    if size > 0 {
        parts.push(words.overview.unique(bytes(size)));
    }
    parts.join(" · ")
}

/// What is muted, and until when.
fn mute_texts(mutes: &[Mute], request: &PageRequest, now: i64, zone: Tz) -> Vec<String> {
    let words = request.words();
    let mutes = mutes.iter();
    let text = |mute: &Mute| {
        let until = request.language.moment(mute.until, now, zone);
        words.overview.muted_until(&mute.name, &until.full)
    };
    mutes.map(text).collect()
}

/// The alarms, without that of an invalid `mirror.toml`, whose error is shown in full.
fn alarm_rows(alarms: &[Alarm], config: &Config, request: &PageRequest, now: i64) -> Vec<AlarmRow> {
    let is_mirror = |name: &str| config.mirrors.iter().any(|mirror| *mirror.name == *name);
    let raised = alarms.iter().filter(|alarm| alarm.topic != Topic::Config);
    let trouble = |alarm: &Alarm| {
        let since = request.language.moment(alarm.since, now, config.timezone);
        AlarmRow {
            message: alarm.message.get(request.language).clone(),
            since: request.words().time.since(&since.full, &since.text),
            href: match alarm.topic {
                Topic::Gateway => Some(request.link("/pulls", &[])),
                _ => alarm
                    .subject
                    .mirror()
                    .filter(|name| is_mirror(name))
                    .map(|name| request.link(&mirror_path(name), &[])),
            },
        }
    };
    raised.map(trouble).collect()
}
