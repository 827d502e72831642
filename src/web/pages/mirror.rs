//! `/mirrors/NAME`: one mirror, with its targets, tags, runs and changes.

use std::collections::{BTreeSet, HashSet};

use askama::Template;
use axum::{
    extract::{Path, State as Held},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use chrono::Utc;
use futures::try_join;

use crate::{
    config::{Config, Mirror},
    locales::{Moment, words::Words},
    status::{Behind, MirrorStatus, TargetStatus, format::bytes},
    store::{self, Mute, MuteKind},
    web::{
        App,
        near_name::nearest_name,
        pages::{
            self, Frame,
            action::{self, Access},
            overview::Pager,
            page_request::{PageRequest, mirror_path},
            rows::{
                entry::EntryFacts,
                lag_chart::{self, LagChart},
                mirror_row::{LagText, MirrorRow},
                registry,
                run_strip::{self, RunShape},
                table::{ChangeRow, RunRow, TagRow, class_word},
                transfer::{self, TransferRow},
            },
        },
    },
};

/// Tags on one page.
const TAGS: usize = 200;
/// Runs that are shown.
const RUNS: i64 = 30;
/// Changes that are shown.
const CHANGES: i64 = 50;
/// Sources that are named.
const SOURCES: usize = 20;

#[derive(Template)]
#[template(path = "mirror.html")]
struct MirrorPage<'a> {
    frame: Frame<'a>,
    row: MirrorRow,
    access: Access,
    notice: Option<&'static str>,
    /// Until when its alarms are not sent.
    muted: Option<String>,
    /// Which of its registries are muted, and until when.
    muted_registries: Vec<String>,
    shapes: Vec<RunShape>,
    entry: EntryFacts,
    more_routes: Option<String>,
    transfers: Vec<TransferRow>,
    charts: Vec<LagChart>,
    targets: Vec<TargetRow>,
    behind: Vec<BehindRow>,
    more_behind: Option<String>,
    tags: Vec<TagRow>,
    count: u64,
    pager: Pager,
    runs: Vec<RunRow>,
    changes: Vec<ChangeRow>,
}

/// A target registry of the mirror.
#[derive(Debug)]
struct TargetRow {
    target: String,
    tags: u64,
    behind: u64,
    failed: u64,
    orphaned: u64,
    lag: LagText,
    failures: u64,
    size: String,
    pending: String,
}

/// A tag that is behind, and why.
#[derive(Debug)]
struct BehindRow {
    source: String,
    reference: String,
    lag: String,
    class: Option<String>,
    message: Option<String>,
    is_tried: bool,
}

/// The page of a mirror.
pub(crate) async fn mirror(
    Held(app): Held<App>,
    Path(name): Path<String>,
    mut request: PageRequest,
    headers: HeaderMap,
) -> Response {
    let now = Utc::now().timestamp();
    let config = app.config.load_full();
    let mirror = config.mirrors.iter().find(|mirror| *mirror.name == *name);
    let stands = app.board.mirror(&config, &name, now);
    let (Some(mirror), Some(stands)) = (mirror, stands) else {
        return unknown(&config, &name, &request);
    };
    request.refresh_while(stands.is_under_way);
    let access = Access::of(&config, &headers);
    match read(&app, (mirror, access), &stands, &request, now).await {
        Ok(page) => pages::html(StatusCode::OK, &request, &page),
        Err(error) => pages::unreadable(&request, &error),
    }
}

async fn read<'a>(
    app: &App,
    (mirror, access): (&Mirror, Access),
    stands: &MirrorStatus,
    request: &'a PageRequest,
    now: i64,
) -> Result<MirrorPage<'a>, store::Error> {
    let (name, zone) = (&*mirror.name, app.config.load().timezone);
    let words = request.words();
    let count = stands.targets.iter().map(|target| target.tags).sum();
    let pager = Pager::new(request, count as usize, TAGS);
    let (tags, runs, changes, lag) = try_join!(
        app.store.mirror_tags(name, TAGS as i64, pager.start as i64),
        app.store.runs(Some(name), RUNS),
        app.store.changes(Some(name), 0, i64::MAX, CHANGES),
        app.store.lag_changes(name, lag_chart::begin(now)),
    )?;
    let at = |at: i64| request.language.moment(at, now, zone);
    let mut entry = EntryFacts::new(mirror, request.language);
    let all_routes = entry.routes.len() as u64;
    entry.routes.truncate(SOURCES);
    let moving = app.sync.activity().moving();
    let moving = moving.values().filter(|blob| blob.mirror == mirror.name);
    let mutes = app.alarms.mutes(now);
    let row = MirrorRow::new((stands, &mutes), request, now, zone);
    // An error has one place on the page, however many tags and runs it concerns.
    let mut shown = HashSet::new();
    shown.extend(stands.last_error.clone().filter(|_| row.reason.is_some()));
    let hidden = |all: u64, shown: usize| {
        let rest = all.saturating_sub(shown as u64);
        (rest > 0).then(|| words.frame.more(rest))
    };
    Ok(MirrorPage {
        access,
        notice: action::notice(request),
        muted_registries: muted_registries(mirror, &mutes, words, at),
        muted: muted_until(name, &mutes).map(|until| words.action.muted_until(at(until).full)),
        row,
        transfers: transfer::rows(moving, request),
        charts: lag_chart::charts(&lag, stands.max_lag_seconds, now, request.language),
        shapes: run_strip::shapes(words),
        more_routes: hidden(all_routes, SOURCES),
        entry,
        targets: target_rows(stands, request),
        more_behind: hidden(stands.behind_tags(), stands.behind.len()),
        behind: stands
            .behind
            .iter()
            .map(|tag| BehindRow::new(tag, request, &mut shown))
            .collect(),
        tags: tags
            .into_iter()
            .map(|tag| TagRow::new(tag, request, now, at).with_error_once(&mut shown))
            .collect(),
        count,
        pager,
        runs: runs
            .into_iter()
            .map(|run| RunRow::new(run, request, at).with_error_once(&mut shown))
            .collect(),
        changes: changes
            .into_iter()
            .map(|change| ChangeRow::new(change, words, at))
            .collect(),
        frame: Frame::live(request, name, app, now),
    })
}

/// The target registries of a mirror.
fn target_rows(stands: &MirrorStatus, request: &PageRequest) -> Vec<TargetRow> {
    let targets = stands.targets.iter();
    targets
        .map(|target| TargetRow::new(target, request))
        .collect()
}

/// Until when a mirror is muted, if it is.
fn muted_until(name: &str, mutes: &[Mute]) -> Option<i64> {
    let is_own = |mute: &&Mute| mute.kind == MuteKind::Mirror && mute.name == name;
    mutes.iter().find(is_own).map(|mute| mute.until)
}

/// Which registries of a mirror are muted, and until when.
fn muted_registries(
    mirror: &Mirror,
    mutes: &[Mute],
    words: &'static Words,
    at: impl Fn(i64) -> Moment,
) -> Vec<String> {
    let names: BTreeSet<String> = mirror.registries().collect();
    let muted = names.iter().filter_map(|name| {
        let until = registry::muted_until(name, mutes)?;
        Some(words.action.registry_muted_until(name, at(until).full))
    });
    muted.collect()
}

/// The page for an unknown mirror, with similar names.
fn unknown(config: &Config, name: &str, request: &PageRequest) -> Response {
    let words = request.words();
    let names = || config.mirrors.iter().map(|mirror| &*mirror.name);
    let link = |name: &str| (name.to_owned(), request.link(&mirror_path(name), &[]));
    let holds = |known: &&str| !name.is_empty() && known.contains(name);
    let nearest = nearest_name(name, names());
    let others = names().filter(holds).filter(|name| Some(*name) != nearest);
    let meant: Vec<&str> = nearest.into_iter().chain(others.take(5)).collect();
    let said = (
        words.frame.no_mirror(name),
        (!meant.is_empty()).then(|| words.frame.did_you_mean.to_owned()),
    );
    let meant = meant.into_iter().map(link).collect();
    pages::message(StatusCode::NOT_FOUND, request, said, meant)
}

impl TargetRow {
    fn new(target: &TargetStatus, request: &PageRequest) -> Self {
        let behind = (target.behind > 0).then_some(target.lag_seconds);
        Self {
            target: target.target.clone(),
            tags: target.tags,
            behind: target.behind,
            failed: target.failed,
            orphaned: target.orphaned,
            lag: LagText::new(behind, target.lag_upper_seconds, request.language),
            failures: target.consecutive_failures,
            size: bytes(target.size_bytes),
            pending: bytes(target.pending_bytes),
        }
    }
}

impl BehindRow {
    /// A tag that is behind. Its error is left out if it was shown already.
    fn new(tag: &Behind, request: &PageRequest, shown: &mut HashSet<String>) -> Self {
        let message = tag.message.clone();
        Self {
            is_tried: message.is_some(),
            source: tag.source.clone(),
            reference: tag.reference.clone(),
            lag: request.language.duration(tag.lag_seconds),
            class: tag
                .class
                .as_deref()
                .map(|class| class_word(class, request.language)),
            message: message.filter(|message| shown.insert(message.clone())),
        }
    }
}
