//! The texts of the pages. Each language is a file that translators edit; this declares what a file
//! must have, so that a text that code or a template names cannot be missing.
//!
//! The files are TOML, which this program reads anyway: a crate for translations would add a parser
//! and a lookup by name, and would not check the arguments of a text.

use std::{fmt::Display, sync::LazyLock};

use serde::Deserialize;

/// English.
pub(crate) static ENGLISH: LazyLock<Words> = LazyLock::new(|| read(include_str!("en.toml")));
/// Chinese, as it is written on the mainland.
pub(crate) static CHINESE: LazyLock<Words> = LazyLock::new(|| read(include_str!("zh.toml")));

/// Parses a language. The files are part of the program, and a test reads them.
fn read(file: &'static str) -> Words {
    toml::from_str(file).unwrap_or_else(|error| panic!("a language file is invalid: {error}"))
}

/// A text with names in braces.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Phrase(&'static str);

impl Phrase {
    /// The text with each name replaced. What replaces a name is not looked through again.
    fn fill(&self, arguments: &[(&str, &dyn Display)]) -> String {
        let mut filled = String::with_capacity(self.0.len() + 32);
        let mut rest = self.0;
        while let Some((before, name, after)) = split_name(rest) {
            filled.push_str(before);
            if let Some((_, value)) = arguments.iter().find(|(known, _)| *known == name) {
                filled.push_str(&value.to_string());
            }
            rest = after;
        }
        filled.push_str(rest);
        filled
    }

    /// The names in it.
    #[cfg(test)]
    fn names(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        let mut rest = self.0;
        while let Some((_, name, after)) = split_name(rest) {
            names.push(name);
            rest = after;
        }
        names.sort_unstable();
        names
    }
}

fn split_name(text: &'static str) -> Option<(&'static str, &'static str, &'static str)> {
    let (before, rest) = text.split_once('{')?;
    let (name, after) = rest.split_once('}')?;
    Some((before, name, after))
}

/// A text with a number.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'static"))]
pub(crate) struct PluralPhrase {
    /// For 1, where that is another text.
    one: Option<Phrase>,
    other: Phrase,
}

impl PluralPhrase {
    fn fill(&self, count: u64) -> String {
        let form = match &self.one {
            Some(one) if count == 1 => one,
            _ => &self.other,
        };
        form.fill(&[("count", &count)])
    }
}

/// Declares the sections of a language file: plain texts, those with names in braces, and those with
/// a number. The latter two become methods that take what is to be filled in.
macro_rules! sections {
    ($(
        $(#[$about:meta])*
        $section:ident: $Type:ident {
            $($text:ident),* $(,)?
            ; $($phrase:ident($($name:ident),+)),* $(,)?
            ; $($counted:ident),* $(,)?
        }
    )*) => {
        /// All texts of a language.
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields, bound(deserialize = "'de: 'static"))]
        pub(crate) struct Words {
            $($(#[$about])* pub(crate) $section: $Type,)*
        }

        $(
            $(#[$about])*
            #[derive(Debug, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub(crate) struct $Type {
                $(pub(crate) $text: &'static str,)*
                $($phrase: Phrase,)*
                $($counted: PluralPhrase,)*
            }

            impl $Type {
                $(pub(crate) fn $phrase(&self, $($name: impl Display),+) -> String {
                    self.$phrase.fill(&[$((stringify!($name), &$name)),+])
                })*
                $(pub(crate) fn $counted(&self, count: u64) -> String {
                    self.$counted.fill(count)
                })*
            }
        )*

        #[cfg(test)]
        impl Words {
            /// Texts whose names in braces are not those that the code fills in.
            pub(crate) fn mistakes(&self) -> Vec<String> {
                let mut mistakes = Vec::new();
                $(
                    $({
                        let mut expected = vec![$(stringify!($name)),+];
                        expected.sort_unstable();
                        let found = self.$section.$phrase.names();
                        if found != expected {
                            let key = concat!(stringify!($section), ".", stringify!($phrase));
                            mistakes.push(format!("{key}: {found:?}, not {expected:?}"));
                        }
                    })*
                    $({
                        let PluralPhrase { one, other } = &self.$section.$counted;
                        let is_fine = |form: &Phrase| form.names().iter().all(|n| *n == "count");
                        if other.names() != ["count"] || !one.iter().all(is_fine) {
                            let key = concat!(stringify!($section), ".", stringify!($counted));
                            mistakes.push(format!("{key}: needs {{count}}"));
                        }
                    })*
                )*
                mistakes
            }
        }
    };
}

sections! {
    /// Durations and moments.
    time: TimeWords {
        day, hour, minute, second, now, never;
        ago(duration), within(duration), lasting(duration), since(time, ago);
    }
    /// What stands around every page, and on pages that say that there is nothing.
    frame: FrameWords {
        tag, mirrors, search, report, previous, next, all_mirrors, did_you_mean, no_page, unreadable, skip, docs,
        logs;
        as_of(time, zone), refresh(duration), refresh_stop(duration), page(page, pages),
        no_mirror(name);
        more
    }
    /// How a mirror stands.
    state: StateWords {
        in_sync, behind, damaged, failing, unfinished, never_synced, running, stale, paused, muted, late;;
    }
    /// The page of all mirrors.
    overview: OverviewWords {
        comma, trouble, config_error, config_kept, filter, filter_hint, all, nothing_matches,
        sort, worst_first;
        some_of(some, all, state), some(some, state), worst(mirror, lag), unique(size),
        restart(keys), muted_until(name, time);
        all_in_sync, mirrors, tags
    }
    /// Transfers in flight.
    transfer: TransferWords { title, image, progress, rate, time_left;; }
    /// Registries, and what they allow.
    registry: RegistryWords {
        title, registry, login, quota, pause, usable, paused, errors, login_refused, anonymous, token,
        docker_config;
        user(name), helper(name), quota_of(left, limit), traffic(percent, budget, ends);
    }
    /// Buttons, and what they answer.
    action: ActionWords {
        sync, token, sign_out, started, running, refused, other_site, no_token, wrong_token, muted,
        muted_registry, unmute, unmuted, no_duration;
        mute(duration), muted_until(time), registry_muted_until(registry, time), no_registry(name);
    }
    /// One mirror and its targets.
    mirror: MirrorWords {
        mirror, state, lag, last_success, last_attempt, next_run, size, behind, last_runs,
        never_equal, sources, targets, target, failed, orphaned, failures, pending, why_behind,
        not_tried, schedule, paused, selectors, prune, platforms, all_platforms, off, unique;
        behind_for(duration), equal_ago(duration), accepted(duration), tried(ago, result), keeps(count, after);
    }
    /// Schedules in words.
    schedule: ScheduleWords {
        comma, sunday, monday, tuesday, wednesday, thursday, friday, saturday;
        every(duration), hourly(minute), hours(duration, minute), daily(times), on_days(days, times),
        range(from, to);
    }
    /// The lag of the past.
    history: HistoryWords {
        title, unknown, objective, now;
        in_sync(percent), worst(duration), ago(span);
        hours, days
    }
    /// Tags, and how they stand.
    tag: TagWords {
        title, image, source, source_digest, written_digest, mirrored_at, current, not_copied,
        not_at_source, left_out, orphaned, none;;
    }
    /// Runs, and how they ended.
    run: RunWords {
        title, ok, partial, failed, interrupted, was_idle, was_copied, was_partial, was_failed,
        was_unfinished, started, took, result, unchanged, copied, sent, saved, none;
        counts(copied, failed);
        strip
    }
    /// Changes of tags.
    change: ChangeWords {
        title, time, change, from, to, new, moved, removed, healed, reshaped, damaged, repaired,
        pruned, none;;
    }
    /// The search for an image.
    search: SearchWords {
        also_by, ask, button, hint, by, repository_by, pull, add, add_help, not_understood;
        mirrored(image), not_copied(image), not_selected(image), not_mirrored(image), checked(ago);
    }
    /// What clusters use.
    coverage: CoverageWords {
        title, cluster, state, image, image_count, place, missing_since, not_mirrored, not_at_target, other_digest, damaged,
        behind, current, all_current, list, add;
        no_cluster(name), of_cluster(cluster, images), parts(count, state), listed(ago);
        images
    }
    /// Workers that share the mirrors.
    workers: WorkersWords {
        title, worker, units, egress, version, program, live, draining, gone, ended;;
    }
    /// Pulls through the gateway.
    pulls: PullWords {
        title, privacy, in_flight, none_in_flight, repository, blob, followers, images, image, last,
        last_pull, refused, reason, refusals, first_time, last_time, add, hit, coalesced, miss,
        stale, failed, denied, not_listed, unknown_registry;
        verdict(pulls, saved), count(count, outcome), moved(upstream, client), since(first, last),
        refused_since(repository, reason, requests, first), saved(bytes);
        pulls, requests
    }
    /// The daily report, and the page that shows it.
    report: ReportWords {
        title, also, plain_text, no_format, past, comma, semicolon, late, failing, stale, never_in_sync, troubles,
        found, changes, no_change, found_damaged, no_next, mirror, state, lag, behind, last_success,
        reason, never, time, change, image, from, to, workers, worker, worker_runs, worker_failed,
        worker_copied, worker_sent;
        of_day(day), no_day(day), of_all(count, all, state), count(count, state), in_sync(mirrors),
        within(mirrors, others), damaged(tags), kind(count, kind), verdict(day, verdict),
        pulled(verdict, refused), pulls_refused(names),
        failed_runs(runs, failed), tags_changed(kinds, named), sent(sent, saved), before(bytes, runs),
        next(mirror, time, zone), verify_found(tags), store_replaced(file);
        runs, slowed
    }
    /// Kinds of changes, in reports.
    kind: KindWords { new, moved, removed, healed, reshaped, damaged, repaired, pruned;; }
    /// What alarms say.
    alarm: AlarmWords {
        no_error, day, month, unreachable, server_errors, login_refused, rate_limited;
        config(error), disk(left), channel(name, error), refused(registry), pause(registry, until),
        traffic(percent, budget, per), traffic_spent(used, ends), traffic_tight(used, small, ends),
        traffic_ends(used, ends), digest(source), lag(mirror, lag, most), because(text, reason),
        stale(mirror, duration), stale_running(text, ago), failing(mirror, targets, error),
        outage(registry, cause, mirrors), counted(text, mirrors), error(class, message, remedy),
        raised(message), raised_many(count), recovered(message), recovered_many(count),
        over_after(duration, message), cluster_missing(cluster, images, duration, names),
        cluster_other_digest(cluster, images, names), cluster_silent(cluster, duration),
        pulls_upstream(registry, duration, requests, stale, why), pulls_budget(pulls, duration),
        pulls_refused(requests, duration, rule, network, limit),
        workers_database(duration, error), worker_gone(worker, duration);
        images_not_mirrored, images_other_digest
    }
    /// What messages of channels say beside reports and alarms.
    notify: NotifyWords {
        trial, trial_reads, trial_table, trial_made_up;
        sent_by(worker);
        more_lines
    }
    /// Classes of errors.
    class: ErrorClassWords {
        auth, blocked, budget, certificate, denied, digest_mismatch, disk_full, interrupted, kept, limit, manifest, network, not_found, protocol, quota, read_only, refused, rejected, server, stalled, storage_quota, store, throttled, truncated;;
    }
    /// What helps against errors of each class.
    remedy: RemedyWords {
        auth, blocked, budget, certificate, denied, digest_mismatch, disk_full, interrupted, kept, limit, manifest, network, not_found, protocol, quota, read_only, refused, rejected, server, stalled, storage_quota, store, throttled, truncated;;
    }
}
