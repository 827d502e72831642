//! Secrets are planted wherever one may stand, and looked for wherever something is said.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::support::net::receiver::Receiver;
use crate::support::programs::daemon::{Daemon, EVERY_OTHER_SECOND};
use crate::support::programs::transship::Transship;
use crate::support::registries::corpus::Image;
use crate::support::registries::fake::Fake;
use crate::support::registries::fake_tokens::Habits;
use crate::support::registries::registry::{Guard, Registry};

const INLINE: &str = "inline-zebra-4711";
const ENVIRONMENT: &str = "environment-heron-4712";
const FILE: &str = "file-walrus-4713";
const HOOK: &str = "hook-badger-4714";
const GONE: &str = "hook-otter-4715";
const TOKEN: &str = "http-token-lynx-4716";
const CREDENTIAL: &str = "credential-marmot-4718";
const PROXY: &str = "proxy-stoat-4717";
/// What the fake token servers give out first.
const GIVEN: &str = "token-1";
const USER: &str = "robot";

/// Everything that could give a secret away, and what it says.
struct Said(Vec<(String, Vec<u8>)>);

impl Said {
    fn hear(&mut self, by: &str, text: impl Into<Vec<u8>>) {
        self.0.push((by.to_owned(), text.into()));
    }

    /// Fails the test where a secret of `mirror.toml` is said.
    fn expect_nothing_of_the_file(&self) {
        for secret in [INLINE, ENVIRONMENT, FILE, HOOK, GONE, TOKEN, PROXY] {
            self.expect_nothing_of(secret);
        }
    }

    /// Fails the test where a secret is said, in any of the forms that it may have.
    fn expect_nothing_of(&self, secret: &str) {
        let encoded = [secret.to_owned(), format!("{USER}:{secret}")];
        let mut forms = vec![secret.to_owned()];
        for text in &encoded {
            forms.push(STANDARD.encode(text));
            forms.push(STANDARD_NO_PAD.encode(text));
            forms.push(URL_SAFE_NO_PAD.encode(text));
        }
        for (by, text) in &self.0 {
            for form in &forms {
                let found = text
                    .windows(form.len())
                    .position(|part| part == form.as_bytes());
                if let Some(at) = found {
                    let around = &text[at.saturating_sub(200)..text.len().min(at + 200)];
                    panic!("{by} says {form}: {}", String::from_utf8_lossy(around));
                }
            }
        }
    }
}

/// Registries that want logins and take or refuse them, and a daemon's file with every kind of secret.
struct SecretsStage {
    registries: [Fake; 3],
    receiver: Receiver,
    _mutual: Registry,
    key: String,
    transship: Transship,
}

impl SecretsStage {
    fn new() -> Self {
        let registries = [Fake::start(), Fake::start(), Fake::start()];
        let [source, target, refusing] = &registries;
        let (receiver, mutual) = (Receiver::start(), Registry::guarded(Guard::MutualTls));
        source
            .client()
            .push("app", "v1", &Image::oci("with secrets"));
        for fake in [source, target] {
            fake.demand_tokens(Habits::default());
        }
        refusing.demand_tokens(Habits {
            refuses: true,
            ..Habits::default()
        });
        let (certificate, key) = mutual.client_certificate();
        let text = format!(
            "[http]\nlisten = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\"\n\
             [notify.hook]\nkind = \"webhook\"\nurl = \"{}\"\nsecret = {{ credential = \"planted\" }}\n\
             [notify.gone]\nkind = \"webhook\"\nurl = \"{}\"\n\
             [registries.\"{}\"]\nplain_http = true\nusername = \"{USER}\"\npassword = {{ env = \"PLANTED\" }}\n\
             [registries.\"{}\"]\nplain_http = true\nusername = \"{USER}\"\npassword = \"{INLINE}\"\n\
             [registries.\"{}\"]\nplain_http = true\nusername = \"{USER}\"\npassword = {{ file = \"planted\" }}\n\
             [registries.\"proxied.invalid\"]\nproxy = \"http://{USER}:{PROXY}@127.0.0.1:1\"\n\
             [registries.\"{}\"]\nclient_cert = \"{}\"\nclient_key = \"{}\"\n\
             [defaults]\ntarget = \"{}/mirror\"\npath = \"{{name}}\"\n{EVERY_OTHER_SECOND}\
             [[mirror]]\nname = \"app\"\nfrom = \"{}/app\"\ntags = \"*\"\n\
             [[mirror]]\nname = \"refused\"\nfrom = \"{}/refused\"\ntags = \"*\"\n\
             [[mirror]]\nname = \"proxied\"\nfrom = \"proxied.invalid/a/proxied\"\ntags = \"*\"\n\
             [[mirror]]\nname = \"mutual\"\nfrom = \"{}/mutual\"\ntags = \"*\"\n",
            receiver.url(&format!("/hook/{HOOK}")),
            receiver.url(&format!("/gone/{GONE}")),
            source.host(),
            target.host(),
            refusing.host(),
            mutual.host(),
            certificate.display(),
            key.display(),
            target.host(),
            source.host(),
            refusing.host(),
            mutual.host(),
        );
        let mut transship = Transship::new(&text);
        transship.write("planted", FILE);
        transship.set_env("PLANTED", ENVIRONMENT);
        transship.write("credentials/planted", CREDENTIAL);
        let credentials = transship.path().join("credentials");
        transship.set_env("CREDENTIALS_DIRECTORY", credentials.to_str().unwrap());
        transship.set_env("RUST_LOG", "trace");
        let pem = fs::read_to_string(&key).unwrap();
        let line = pem.lines().nth(1).unwrap().to_owned();
        Self {
            registries,
            receiver,
            _mutual: mutual,
            key: line,
            transship,
        }
    }

    /// Fails the test unless each login was used: what is used nowhere appears nowhere.
    fn expect_used(&self) {
        for (fake, password) in self.registries.iter().zip([ENVIRONMENT, INLINE, FILE]) {
            let basic = STANDARD.encode(format!("{USER}:{password}"));
            let requests = fake.requests();
            let mut headers = requests
                .iter()
                .filter_map(|request| request.authorization.as_ref());
            assert!(headers.any(|header| header.ends_with(&basic)), "{password}");
        }
        let told = self.receiver.received();
        assert!(told.iter().any(|(path, _)| path.contains(HOOK)));
        assert!(told.iter().any(|(path, _)| path.contains(GONE)));
    }

    fn run(&self, said: &mut Said, arguments: &[&str]) {
        let finished = self.transship.run(arguments);
        assert_ne!(finished.code, Some(64), "{finished}");
        said.hear(&format!("{arguments:?}"), finished.to_string());
    }
}

const COMMANDS: [&[&str]; 13] = [
    &["-v", "check"],
    &["-v", "check", "--online"],
    &["-v", "plan"],
    &["--json", "plan"],
    &["-v", "sync"],
    &["--json", "sync"],
    &["--json", "status"],
    &["status"],
    &["report"],
    &["report", "--format", "md"],
    &["report", "--format", "html"],
    &["report", "--format", "json"],
    &["-v", "report", "--send"],
];

const PAGES: [&str; 16] = [
    "/",
    "/mirrors/app",
    "/mirrors/refused",
    "/mirrors/proxied",
    "/mirrors/mutual",
    "/report/latest",
    "/report/latest?format=json",
    "/report/latest?format=md",
    "/search?image=proxied.invalid/a/proxied:v1",
    "/api/v1/status",
    "/api/v1/runs",
    "/api/v1/explain?image=proxied.invalid/a/proxied:v1",
    "/metrics",
    "/healthz",
    "/readyz",
    "/tunasync.json",
];

/// What a daemon says, once every mirror was tried and trouble was told.
fn hear_a_daemon(stage: &SecretsStage, said: &mut Said) {
    let daemon = Daemon::start(&stage.transship);
    daemon.until_true("every mirror to have been tried", |daemon| {
        let status = daemon.status();
        let mut mirrors = status["mirrors"].as_array().unwrap().iter();
        mirrors.all(|mirror| !mirror["last_attempt"].is_null())
    });
    daemon.until_true("trouble to be told", |daemon| {
        let told = stage.receiver.received();
        let is_told = |start: &str| told.iter().any(|(path, _)| path.starts_with(start));
        !daemon.alarms("auth").is_empty() && is_told("/hook/") && is_told("/gone/")
    });
    for path in PAGES {
        said.hear(path, daemon.get(path).body);
    }
    let wanted = serde_json::json!({ "mirror": "app" });
    for token in ["wrong", TOKEN] {
        let page = daemon.post_sync(Some(token), &wanted);
        said.hear("the answer to an order", page.body);
    }
    said.hear("the daemon's log", daemon.log());
}

#[test]
fn secrets_never_appear() {
    let stage = SecretsStage::new();
    let mut said = Said(Vec::new());
    for arguments in COMMANDS {
        stage.run(&mut said, arguments);
    }
    hear_a_daemon(&stage, &mut said);
    stage.expect_used();
    for path in stage.transship.files() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("transship.db") {
            said.hear(&name, fs::read(&path).unwrap());
        }
    }
    for (_, body) in stage.receiver.received() {
        said.hear("a notification", body);
    }
    said.expect_nothing_of_the_file();
    said.expect_nothing_of(GIVEN);
    said.expect_nothing_of(&stage.key);
}

#[test]
fn config_errors_hide_secrets() {
    let stage = SecretsStage::new();
    let text = fs::read_to_string(stage.transship.path().join("mirror.toml")).unwrap();
    let mut said = Said(Vec::new());
    for (right, wrong) in [
        ("username", "usrname"),
        ("password =", "pasword ="),
        ("token =", "tokn ="),
        ("proxy = \"http", "proxy = \"htp"),
        ("kind = \"webhook\"", "kind = \"webhok\""),
        ("url = \"http", "url = \"htp"),
        ("[http]", "[http"),
        ("[http]", "[htp]"),
        ("[registries.", "[registres."),
        ("[notify.", "[notfy."),
        ("proxy =", "prxy ="),
        ("name = \"app\"", "name = app"),
    ] {
        stage
            .transship
            .write("mirror.toml", &text.replacen(right, wrong, 9));
        for arguments in [&["check"][..], &["--json", "check"], &["-v", "sync"]] {
            let finished = stage.transship.run(arguments).expect_code(78);
            said.hear(&format!("{wrong}: {arguments:?}"), finished.to_string());
        }
    }
    said.expect_nothing_of_the_file();
    said.expect_nothing_of(CREDENTIAL);
}
