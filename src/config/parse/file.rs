//! `mirror.toml` exactly as written: every key with its place, nothing checked yet.

use std::ops::Range;

use secrecy::SecretString;
use toml::{Spanned, de::DeTable};

use crate::config::{
    cluster::{self, WorkerEntry},
    daemon::{self, HttpEntry},
    gateway::entry::{self as gateway, GatewayEntry},
    limits::{self, LimitsEntry, RateEntry},
    mirror::prune::UpkeepEntry,
    notify::{self, ChannelEntry, report::ReportEntry},
    parse::{
        diagnostics::Problems,
        redact, syntax,
        table_reader::{SwitchOrList, TableReader},
    },
    registry::secret::SecretSource,
    schedule::timing::TimingEntry,
};

/// One string or a list of them, with the place of each.
pub(crate) type Strings = Spanned<Vec<Spanned<String>>>;

/// The whole file.
#[derive(Debug, Default)]
pub(crate) struct File {
    pub(crate) timezone: Option<Spanned<String>>,
    pub(crate) state_path: Option<Spanned<String>>,
    pub(crate) drain: Option<Spanned<String>>,
    pub(crate) http: HttpEntry,
    pub(crate) gateway: Option<GatewayEntry>,
    pub(crate) cluster: Option<WorkerEntry>,
    pub(crate) limits: LimitsEntry,
    pub(crate) registries: Vec<RegistryEntry>,
    pub(crate) defaults: MirrorEntry,
    pub(crate) mirrors: Vec<MirrorEntry>,
    pub(crate) report: ReportEntry,
    pub(crate) channels: Vec<ChannelEntry>,
}

/// One `[registries."name"]`.
#[derive(Debug)]
pub(crate) struct RegistryEntry {
    pub(crate) name: Spanned<String>,
    /// Whether every key in it could be read.
    pub(crate) is_whole: bool,
    pub(crate) plain_http: Option<Spanned<bool>>,
    pub(crate) ca_file: Option<Spanned<String>>,
    pub(crate) client_cert: Option<Spanned<String>>,
    pub(crate) client_key: Option<Spanned<String>>,
    pub(crate) endpoint: Option<Spanned<String>>,
    pub(crate) proxy: Option<Spanned<String>>,
    pub(crate) ip: Option<Spanned<String>>,
    pub(crate) username: Option<Spanned<SecretSource>>,
    pub(crate) password: Option<Spanned<SecretSource>>,
    pub(crate) login: Option<Spanned<LoginEntry>>,
    pub(crate) connections: Option<Spanned<i64>>,
    pub(crate) stall: Option<Spanned<String>>,
    pub(crate) chunk: Option<Spanned<String>>,
    pub(crate) requests_per_second: Option<Spanned<f64>>,
    pub(crate) bandwidth: Option<RateEntry>,
}

/// The value of `login`.
#[derive(Debug)]
pub(crate) enum LoginEntry {
    /// A word.
    Word(String),
    /// `{ helper = "name" }`.
    Helper(Spanned<String>),
}

/// One `[[mirror]]`, or `[defaults]`.
#[derive(Clone, Debug, Default)]
pub(crate) struct MirrorEntry {
    pub(crate) span: Range<usize>,
    /// Whether every key in it could be read.
    pub(crate) is_whole: bool,
    pub(crate) name: Option<Spanned<String>>,
    pub(crate) from: Option<Strings>,
    pub(crate) exclude_repositories: Option<Strings>,
    pub(crate) target: Option<Strings>,
    pub(crate) path: Option<Spanned<String>>,
    pub(crate) timing: TimingEntry,
    pub(crate) tags: Option<Strings>,
    pub(crate) exclude: Option<Strings>,
    pub(crate) exclude_regex: Option<Strings>,
    pub(crate) regex: Option<Spanned<String>>,
    pub(crate) semver: Option<Spanned<String>>,
    pub(crate) max_age: Option<Spanned<String>>,
    pub(crate) latest: Option<Spanned<i64>>,
    pub(crate) min_tags: Option<Spanned<i64>>,
    pub(crate) max_tags: Option<Spanned<i64>>,
    pub(crate) immutable: Option<Strings>,
    pub(crate) platforms: Option<Strings>,
    pub(crate) tag: Option<Spanned<String>>,
    pub(crate) attestations: Option<Spanned<String>>,
    pub(crate) referrers: Option<Spanned<SwitchOrList>>,
    pub(crate) upkeep: UpkeepEntry,
}

/// Reads the text. Syntax errors end the reading: what follows one cannot be trusted.
pub(crate) fn read(text: &str, problems: &mut Problems) -> File {
    let (table, errors) = DeTable::parse_recoverable(text);
    match errors.is_empty() {
        true => redact::hide_in_table(text, table.get_ref(), problems),
        false => redact::hide_lines(text, problems),
    }
    note_syntax_errors(text, &errors, problems);
    if errors.is_empty() {
        read_file(TableReader::new("the top of the file", table, problems))
    } else {
        File::default()
    }
}

fn note_syntax_errors(text: &str, errors: &[toml::de::Error], problems: &mut Problems) {
    if let Some(other) = syntax::other_format(text).filter(|_| !errors.is_empty()) {
        let message = format!("this is {}, not TOML", other.name);
        problems.error(other.span, message, other.help);
        return;
    }
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let help = syntax::remedy(text, &span, error.message());
        problems.error(span, format!("not TOML: {}", error.message()), help);
    }
}

fn read_file(mut top: TableReader<'_, '_>) -> File {
    let timezone = top.take("timezone", "a time zone such as \"Asia/Shanghai\"");
    let state = top.section("state").map(|mut state| {
        let path = state.take("path", "a path as a string");
        let drain = state.take("drain", "a duration such as \"60s\"");
        state.finish();
        (path, drain)
    });
    let (state_path, drain) = state.unwrap_or_default();
    let file = File {
        timezone,
        state_path,
        drain,
        http: top
            .section("http")
            .map(daemon::read_http)
            .unwrap_or_default(),
        gateway: top.section("gateway").map(gateway::read),
        cluster: top.section("cluster").map(cluster::read),
        limits: top.section("limits").map(limits::read).unwrap_or_default(),
        registries: top.each_named("registries", read_registry),
        defaults: match top.section("defaults") {
            Some(section) => read_mirror(section, None),
            None => MirrorEntry {
                is_whole: true,
                ..MirrorEntry::default()
            },
        },
        mirrors: top.each("mirror", |mut section| {
            let name = section.take("name", "a name as a string");
            let from = section.strings("from");
            read_mirror(section, Some((name, from)))
        }),
        report: top
            .section("report")
            .map(notify::report::read)
            .unwrap_or_default(),
        channels: top.each_named("notify", notify::read_channel),
    };
    top.finish();
    file
}

fn read_registry(name: Spanned<String>, mut section: TableReader<'_, '_>) -> RegistryEntry {
    let entry = RegistryEntry {
        name,
        is_whole: false,
        plain_http: section.take("plain_http", "true or false"),
        ca_file: section.take("ca_file", "a path as a string"),
        client_cert: section.take("client_cert", "a path as a string"),
        client_key: section.take("client_key", "a path as a string"),
        endpoint: section.take("endpoint", "a URL such as \"https://other.host\""),
        proxy: section.take("proxy", "a URL such as \"socks5h://127.0.0.1:1080\""),
        ip: section.take("ip", "\"4\", \"6\" or \"any\""),
        username: read_source(&mut section, "username"),
        password: read_secret(&mut section, "password"),
        login: read_login(&mut section),
        connections: section.take("connections", "a whole number such as 16"),
        stall: section.take("stall", "a duration such as \"30s\""),
        chunk: section.take("chunk", "a size such as \"32 MiB\""),
        requests_per_second: section.take("requests_per_second", "a number such as 20 or 0.5"),
        bandwidth: limits::read_bandwidth(&mut section),
    };
    RegistryEntry {
        is_whole: section.finish(),
        ..entry
    }
}

const LOGIN_HELP: &str = "write \"docker-config\", \"anonymous\" or { helper = \"NAME\" }";

fn read_login(section: &mut TableReader<'_, '_>) -> Option<Spanned<LoginEntry>> {
    match section.string_or_section("login", LOGIN_HELP)? {
        Err(word) => Some(Spanned::new(
            word.span(),
            LoginEntry::Word(word.into_inner()),
        )),
        Ok(mut table) => {
            let span = table.span();
            let helper = table.take("helper", "a helper's name such as \"ecr-login\"");
            if table.finish() && helper.is_none() {
                let help = "write { helper = \"NAME\" } for docker-credential-NAME";
                section.error_at(span.clone(), "`login` names no helper".into(), help);
            }
            helper.map(|helper| Spanned::new(span, LoginEntry::Helper(helper)))
        }
    }
}

/// The value of a key that holds a secret, or where the secret is stored.
pub(crate) fn read_secret(
    section: &mut TableReader<'_, '_>,
    key: &'static str,
) -> Option<Spanned<SecretSource>> {
    section.hide(key);
    read_source(section, key)
}

/// The value of a key that may be stored where secrets are, and is not one itself.
fn read_source(
    section: &mut TableReader<'_, '_>,
    key: &'static str,
) -> Option<Spanned<SecretSource>> {
    const HELP: &str =
        "write { env = \"NAME\" }, { file = \"/path\" } or { credential = \"name\" }";
    match section.string_or_section(key, HELP)? {
        Err(inline) => {
            let span = inline.span();
            Some(Spanned::new(
                span,
                SecretSource::Inline(SecretString::from(inline.into_inner())),
            ))
        }
        Ok(mut table) => {
            let span = table.span();
            let text = |value: Spanned<String>| value.into_inner();
            let env = table.take("env", HELP).map(|v| SecretSource::Env(text(v)));
            let file = table
                .take("file", HELP)
                .map(|v| SecretSource::File(text(v).into()));
            let credential = table
                .take("credential", HELP)
                .map(|v| SecretSource::Credential(text(v)));
            let mut sources = [env, file, credential].into_iter().flatten();
            let source = sources.next();
            let is_one = source.is_some() && sources.next().is_none();
            if table.finish() && !is_one {
                let message = format!("`{key}` names no source, or more than one");
                section.error_at(span.clone(), message, HELP);
            }
            source.map(|source| Spanned::new(span, source))
        }
    }
}

fn read_mirror(
    mut section: TableReader<'_, '_>,
    own: Option<(Option<Spanned<String>>, Option<Strings>)>,
) -> MirrorEntry {
    let (name, from) = own.unwrap_or_default();
    let entry = MirrorEntry {
        span: section.span(),
        is_whole: false,
        name,
        from,
        exclude_repositories: section.strings("exclude_repositories"),
        target: section.strings("target"),
        path: section.take("path", "a template such as \"{registry}/{repository}\""),
        timing: TimingEntry::read(&mut section),
        tags: section.strings("tags"),
        exclude: section.strings("exclude"),
        exclude_regex: section.strings("exclude_regex"),
        regex: section.take("regex", "a regular expression as a string"),
        semver: section.take("semver", "a range such as \">=1.31, <1.34\""),
        max_age: section.take("max_age", "a duration such as \"180d\""),
        latest: section.take("latest", "a whole number such as 10"),
        min_tags: section.take("min_tags", "a whole number such as 1"),
        max_tags: section.take("max_tags", "a whole number such as 500"),
        immutable: section.strings("immutable"),
        platforms: section.strings("platforms"),
        tag: section.take(
            "tag",
            "a template such as \"{tag}-mirror\"; did you mean `tags`, a list of globs?",
        ),
        attestations: section.take("attestations", "\"keep\", \"drop\" or \"if-accepted\""),
        referrers: section.switch_or_strings("referrers"),
        upkeep: UpkeepEntry::read(&mut section),
    };
    MirrorEntry {
        is_whole: section.finish(),
        ..entry
    }
}

impl MirrorEntry {
    /// The entry with the defaults filled in where it says nothing.
    pub(crate) fn or(self, defaults: &Self) -> Self {
        let defaults = defaults.clone();
        Self {
            span: self.span,
            is_whole: self.is_whole && defaults.is_whole,
            name: self.name,
            from: self.from,
            exclude_repositories: self.exclude_repositories.or(defaults.exclude_repositories),
            target: self.target.or(defaults.target),
            path: self.path.or(defaults.path),
            timing: self.timing.or(defaults.timing),
            tags: self.tags.or(defaults.tags),
            exclude: self.exclude.or(defaults.exclude),
            exclude_regex: self.exclude_regex.or(defaults.exclude_regex),
            regex: self.regex.or(defaults.regex),
            semver: self.semver.or(defaults.semver),
            max_age: self.max_age.or(defaults.max_age),
            latest: self.latest.or(defaults.latest),
            min_tags: self.min_tags.or(defaults.min_tags),
            max_tags: self.max_tags.or(defaults.max_tags),
            immutable: self.immutable.or(defaults.immutable),
            platforms: self.platforms.or(defaults.platforms),
            tag: self.tag.or(defaults.tag),
            attestations: self.attestations.or(defaults.attestations),
            referrers: self.referrers.or(defaults.referrers),
            upkeep: self.upkeep.or(defaults.upkeep),
        }
    }
}
