//! Everything at once against a daemon that mirrors an honest source meanwhile: memory, store and log
//! stay within bounds, and the daemon stays alive.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Response, header};
use bytes::Bytes;
use serde_json::json;

use crate::hostile::health_watch::HealthWatch;
use crate::support::programs::daemon::Daemon;
use crate::support::programs::supervisor::Supervisor;
use crate::support::programs::transship::Transship;
use crate::support::registries::corpus::Image;
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::{answer, parameter};

/// Most memory of its own. The pages of the program come on top: about 15 MiB in a release build.
const MEMORY: u64 = 200 << 20;
/// How long the attack lasts at least.
const ATTACK: Duration = Duration::from_secs(8);

/// A hostile registry, and what a mirror has of it.
pub struct Attacker {
    pub fake: Fake,
    repositories: usize,
    keys: &'static str,
}

impl Attacker {
    fn mirrors(&self, name: &str) -> String {
        let host = self.fake.host();
        let entries = (0..self.repositories).map(|number| {
            let keys = self.keys;
            format!(
                "\n[[mirror]]\nname = \"{name}-{number}\"\nfrom = \"{host}/{name}/app{number}\"\n{keys}\n"
            )
        });
        entries.collect()
    }

    fn registry(&self) -> String {
        format!(
            "\n[registries.\"{}\"]\nplain_http = true\n",
            self.fake.host()
        )
    }
}

/// A body that is sent again and again, with a next page.
fn page(body: &Bytes, request_path: &str, query: &str) -> Response<Body> {
    let number = parameter(query, "page").and_then(|text| text.parse::<u64>().ok());
    let next = number.unwrap_or(0) + 1;
    let link = format!("<{request_path}?page={next}>; rel=\"next\"");
    Response::builder()
        .header(header::LINK, link)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.clone()))
        .unwrap()
}

fn answering(
    repositories: usize,
    keys: &'static str,
    rule: impl Fn(&str, &str, &str) -> Option<Response<Body>> + Send + 'static,
) -> Attacker {
    let fake = Fake::start();
    fake.rule(
        move |request| match rule(&request.method, &request.path, &request.query) {
            Some(response) => Verdict::Answer(response),
            None => Verdict::Serve,
        },
    );
    Attacker {
        fake,
        repositories,
        keys,
    }
}

/// Pages of long tags, without end.
pub fn long_listings() -> Attacker {
    let tags: Vec<String> = (0..50_000)
        .map(|number| format!("{number:0>128}"))
        .collect();
    let body = Bytes::from(json!({ "tags": tags }).to_string());
    answering(16, "tags = \"*\"", move |_, path, query| {
        path.ends_with("/tags/list")
            .then(|| page(&body, path, query))
    })
}

/// Images to which pages of ever more signatures refer.
pub fn many_referrers() -> Attacker {
    let padding = "x".repeat(4000);
    let entries: Vec<_> = (0..900)
        .map(|number| {
            json!({
                "digest": format!("sha256:{number:064x}"),
                "size": 1,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "artifactType": "application/vnd.example",
                "annotations": { "a": padding },
            })
        })
        .collect();
    let body = Bytes::from(json!({ "manifests": entries }).to_string());
    let attacker = answering(
        4,
        "tags = [\"v1\"]\nreferrers = true",
        move |_, path, query| {
            path.contains("/referrers/")
                .then(|| page(&body, path, query))
        },
    );
    for number in 0..attacker.repositories {
        let image = Image::oci(&format!("signed {number}"));
        let client = attacker.fake.client();
        client.push(&format!("referrers/app{number}"), "v1", &image);
    }
    attacker
}

/// Tags that stand for indexes as large as they may be, of images that are not there.
fn large_indexes() -> Attacker {
    let padding = "x".repeat(3_900_000);
    answering(4, "tags = \"*\"", move |_, path, _| {
        if path.ends_with("/tags/list") {
            let tags: Vec<String> = (0..64).map(|number| format!("v{number}")).collect();
            return Some(answer(200, &json!({ "tags": tags })));
        }
        let tag = path.split_once("/manifests/v")?.1;
        let body = json!({
            "schemaVersion": 2,
            "manifests": [{ "digest": format!("sha256:{tag:0>64}"), "size": 1 }],
            "annotations": { "a": padding, "tag": tag },
        });
        let builder = Response::builder();
        let builder = builder.header(
            header::CONTENT_TYPE,
            "application/vnd.oci.image.index.v1+json",
        );
        builder.body(Body::from(body.to_string())).ok()
    })
}

/// A long token for each repository.
pub fn long_tokens() -> Attacker {
    let token = Bytes::from(json!({ "token": "t".repeat(15_000), "expires_in": 3600 }).to_string());
    let attacker = answering(64, "tags = [\"v1\"]", move |_, path, _| {
        (path == "/token").then(|| Response::new(Body::from(token.clone())))
    });
    let realm = format!("Bearer realm=\"http://{}/token\"", attacker.fake.host());
    attacker.fake.rule(move |request| {
        if request.authorization.is_some() || request.path == "/token" {
            return Verdict::Serve;
        }
        let mut response = answer(401, &json!({}));
        let headers = response.headers_mut();
        headers.insert(header::WWW_AUTHENTICATE, realm.parse().unwrap());
        Verdict::Answer(response)
    });
    attacker
}

/// Tags by the thousand that are refused in many words.
fn wordy_refusals() -> Attacker {
    let words = "\u{1f433}\u{202e}\u{61c}".repeat(600);
    answering(2, "tags = \"*\"", move |_, path, _| {
        if path.ends_with("/tags/list") {
            let tags: Vec<String> = (0..4000).map(|number| format!("v{number}")).collect();
            return Some(answer(200, &json!({ "tags": tags })));
        }
        let error = json!({ "errors": [{ "code": "DENIED", "message": words }] });
        path.contains("/manifests/").then(|| answer(403, &error))
    })
}

/// Visitors that ask for what is long, and do not read.
fn visitors(address: &str) -> Vec<TcpStream> {
    let long = "x".repeat(60_000);
    let paths = [
        format!("/mirrors/{long}"),
        format!("/?lang={long}"),
        "/metrics".to_owned(),
        "/".to_owned(),
    ];
    let connections = (0..48).filter_map(|number: usize| {
        let mut stream = TcpStream::connect(address).ok()?;
        let path = &paths[number % paths.len()];
        let _ = write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n");
        Some(stream)
    });
    connections.collect()
}

#[test]
fn attack_leaves_daemon_within_its_bounds() {
    let (honest, target) = (Fake::start(), Fake::start());
    for number in 0..20 {
        let image = Image::oci(&format!("honest {number}"));
        honest.client().push("app", &format!("v{number}"), &image);
    }
    let attackers = [
        ("listings", long_listings()),
        ("referrers", many_referrers()),
        ("indexes", large_indexes()),
        ("tokens", long_tokens()),
        ("refusals", wordy_refusals()),
    ];
    let registries = attackers.iter().map(|(_, attacker)| attacker.registry());
    let mirrors = attackers
        .iter()
        .map(|(name, attacker)| attacker.mirrors(name));
    let text = format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n{}\n[registries.\"{source}\"]\nplain_http = true\n\
         [registries.\"{target}\"]\nplain_http = true\n\n[defaults]\ntarget = \"{target}/mirror\"\n\
         path = \"{{repository}}\"\nschedule = \"*/2 * * * * *\"\njitter = \"0s\"\n{}\n\
         [[mirror]]\nname = \"honest\"\nfrom = \"{source}/app\"\ntags = \"*\"\n",
        registries.collect::<String>(),
        mirrors.collect::<String>(),
        source = honest.host(),
        target = target.host(),
    );
    let mut transship = Transship::new(&text);
    let mut supervisor = Supervisor::of(&mut transship);
    transship.set_env("WATCHDOG_USEC", "2000000");
    let daemon = Daemon::start(&transship);
    let streams = visitors(daemon.address());
    let began = Instant::now();
    let mut health = HealthWatch::default();
    daemon.until_true("the honest sync under attack", |daemon| {
        health.look(daemon);
        let has_all = target.client().tags("mirror/app").len() == 20;
        has_all && began.elapsed() > ATTACK
    });
    supervisor.pass_over();
    supervisor.expect(&daemon, "WATCHDOG=1");
    drop(streams);
    let files = transship.files();
    let store = files
        .iter()
        .filter(|file| file.to_string_lossy().contains(".db"));
    let sizes = store.map(|file| std::fs::metadata(file).map_or(0, |file| file.len()));
    let (store, log) = (sizes.sum::<u64>(), daemon.log().len());
    assert!(store > 0);
    health.assert_within(MEMORY);
    assert!(store < 40 << 20, "{store}");
    assert!(log < 40 << 20, "{log}");
    assert!(!daemon.log().contains('\u{61c}'));
}
