//! `/`: how every mirror stands, worst first.

use askama::Template;
use axum::{extract::State as Held, http::StatusCode, response::Response};
use chrono::Utc;

use crate::{
    alarms::Alarm,
    config::{Config, Topic},
    status::{MirrorStatus, State, Status, format::bytes},
    web::{
        App,
        locales::words::Words,
        pages::{
            self, Frame,
            filter::{self, Choice},
            mirror_row::{self, Row},
            page_request::{Visit, mirror_path},
            run_strip::{self, Shape},
            transfer::{self, Transfer},
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
    sums: String,
    alarms: Vec<Trouble>,
    more_alarms: Option<String>,
    config_error: Option<String>,
    transfers: Vec<Transfer>,
    more_transfers: Option<String>,
    choices: Vec<Choice>,
    sought: &'a str,
    rows: Vec<Row>,
    shapes: Vec<Shape>,
    pager: Pager,
}

/// An alarm, and where more is told.
#[derive(Debug)]
struct Trouble {
    message: String,
    since: String,
    href: Option<String>,
}

/// The way through the pages of a long list.
#[derive(Debug)]
pub(crate) struct Pager {
    /// Where in the list the page begins.
    pub(crate) start: usize,
    /// Which page it is; none where there is only one.
    pub(crate) text: Option<String>,
    pub(crate) previous: Option<String>,
    pub(crate) next: Option<String>,
}

/// The status page.
pub(crate) async fn overview(Held(app): Held<App>, visit: Visit) -> Response {
    let now = Utc::now().timestamp();
    let config = app.config.load_full();
    let status = app.board.status(&config, now);
    let sought = visit.get("q").unwrap_or_default();
    let found = filter::found(&status, &config, sought, visit.get("state"));
    let pager = Pager::new(&visit, found.len(), ROWS);
    let rows = found.iter().skip(pager.start).take(ROWS);
    let rows = rows.map(|mirror| Row::new(mirror, &visit, now, config.timezone));
    let moving = app.sync.activity().moving();
    let transfers = moving.values().take(TRANSFERS);
    let hidden = moving.len().saturating_sub(TRANSFERS) as u64;
    let alarms = app.alarms.all();
    let mut lines = troubles(&alarms, &config, &visit, now);
    let more_alarms = match lines.len() {
        0..=ALARM_LINES => 0,
        count => count + 1 - ALARM_LINES,
    };
    lines.truncate(lines.len() - more_alarms);
    let verdict = verdict(&status, &visit);
    let page = Overview {
        mood: mood(&status, &alarms),
        sums: sums(&status, visit.words()),
        config_error: app.board.config_error(),
        more_alarms: (more_alarms > 0).then(|| visit.words().frame.more(more_alarms as u64)),
        alarms: lines,
        transfers: transfers
            .map(|moving| transfer::of(moving, &visit))
            .collect(),
        more_transfers: (hidden > 0).then(|| visit.words().frame.more(hidden)),
        choices: filter::choices(&status, &visit),
        sought,
        rows: rows.collect(),
        shapes: run_strip::shapes(visit.words()),
        pager,
        frame: Frame::live(&visit, verdict, &app, now),
    };
    pages::html(StatusCode::OK, &visit, &page)
}

impl Pager {
    /// The page that is asked for, or the last one.
    pub(crate) fn new(visit: &Visit, count: usize, on_page: usize) -> Self {
        let pages = count.div_ceil(on_page).max(1) as u64;
        let page = visit.page().min(pages);
        let to = |page: u64| visit.here("page", Some(&page.to_string()));
        Self {
            start: (page as usize - 1) * on_page,
            text: (pages > 1).then(|| visit.words().frame.page(page, pages)),
            previous: (page > 1).then(|| to(page - 1)),
            next: (page < pages).then(|| to(page + 1)),
        }
    }
}

/// Everything in one line.
fn verdict(status: &Status, visit: &Visit) -> String {
    let words = visit.words();
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
        let lag = visit.language.duration(worst.lag_seconds);
        parts.push(words.overview.worst(&worst.name, &lag));
    }
    parts.join(words.overview.comma)
}

/// How serious it is.
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

fn sums(status: &Status, words: &'static Words) -> String {
    let tags = |mirror: &MirrorStatus| mirror.targets.iter().map(|t| t.tags).sum::<u64>();
    let mirrors = &status.mirrors;
    // Sizes are what sources say.
    let sizes = mirrors.iter().map(|mirror| mirror.size_bytes);
    let size = sizes.fold(0, u64::saturating_add);
    let parts = [
        words.overview.mirrors(mirrors.len() as u64),
        words.overview.tags(mirrors.iter().map(tags).sum()),
        bytes(size),
    ];
    parts.join(" · ")
}

/// The alarms; a bad edit of `mirror.toml` is told with its text instead.
fn troubles(alarms: &[Alarm], config: &Config, visit: &Visit, now: i64) -> Vec<Trouble> {
    let is_mirror = |name: &str| config.mirrors.iter().any(|mirror| *mirror.name == *name);
    let told = alarms.iter().filter(|alarm| alarm.topic != Topic::Config);
    let trouble = |alarm: &Alarm| {
        let since = visit.language.moment(alarm.since, now, config.timezone);
        Trouble {
            message: alarm.message.clone(),
            since: visit.words().time.since(&since.full, &since.text),
            href: alarm
                .subject
                .mirror()
                .filter(|name| is_mirror(name))
                .map(|name| visit.link(&mirror_path(name), &[])),
        }
    };
    told.map(trouble).collect()
}
