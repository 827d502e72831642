//! Lists as registries really give them: pages that are lost on the way, empty ones, and limits on what may be asked for.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Response, header};
use serde_json::{Value, json};

use crate::support::programs::pair::{all_tags_of, behind_proxy, between};
use crate::support::programs::transship::{Transship, sum};
use crate::support::registries::corpus::Image;
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::{answer, parameter, refusal};
use crate::support::registries::fake_contents::{Oddities, PageLink};
use crate::support::registries::requests::{Request, assert_only_reads, count};
use crate::support::wait_for;

/// The ways in which registries say that a page is no longer there.
const LOST: [(u16, &str); 3] = [
    (404, "NAME_UNKNOWN"),
    (400, "PAGINATION_TOKEN_INVALID"),
    (410, "GONE"),
];

/// A fake source whose `app` has 25 tags on pages of ten, a target, and the binary.
fn paged() -> (Fake, Fake, Transship) {
    let oddities = Oddities {
        pages: Some((10, PageLink::Relative)),
        ..Oddities::default()
    };
    let (source, target) = (Fake::with(oddities), Fake::start());
    let (client, image) = (source.client(), Image::without_layers("on every page"));
    for number in 0..25 {
        client.push("app", &format!("v{number}"), &image);
    }
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    (source, target, transship)
}

/// Refuses the third page so often.
fn lose_the_third_page(source: &Fake, mut times: usize, (status, code): (u16, &'static str)) {
    // The names sort as text: v16 ends the first page, v3 the second.
    source.rule(move |request| {
        let is_third = parameter(&request.query, "last").is_some_and(|last| last.as_str() > "v2");
        match request.is_tag_list() && is_third && times > 0 {
            true => {
                times -= 1;
                Verdict::Answer(refusal(status, code))
            }
            false => Verdict::Serve,
        }
    });
}

#[test]
fn tag_list_with_lost_page_restarts() {
    for lost in LOST {
        let (source, target, transship) = paged();
        lose_the_third_page(&source, 1, lost);
        let report = transship.sync();
        assert_eq!(sum(&report, "/tags/copied"), 25, "{report:#}");
        assert_eq!(target.client().tags("mirror/app").len(), 25);
        assert_eq!(count(&source.requests(), Request::is_tag_list), 6);
    }
}

#[test]
fn page_lost_twice_is_an_error() {
    for lost in LOST {
        let (source, target, transship) = paged();
        lose_the_third_page(&source, usize::MAX, lost);
        let finished = transship.run(&["--json", "sync"]).expect_code(2);
        let status = lost.0.to_string();
        let report = finished
            .expect_stderr(&["app", "a page in the middle", &status])
            .json();
        assert_eq!(sum(&report, "/tags/copied"), 0, "{report:#}");
        assert_only_reads(&target.requests());
        assert_eq!(count(&source.requests(), Request::is_tag_list), 6);
    }
}

/// Answers each page of a path with the names of `pages`, as this member.
fn list(fake: &Fake, end: &'static str, member: &'static str, pages: &'static [&[&str]]) {
    fake.rule(move |request| match request.path.ends_with(end) {
        true => Verdict::Answer(page(request, member, pages)),
        false => Verdict::Serve,
    });
}

fn page(request: &Request, member: &str, pages: &[&[&str]]) -> Response<Body> {
    let number = parameter(&request.query, "page").map_or(0, |page| page.parse().unwrap());
    let mut response = answer(200, &json!({ member: pages[number] }));
    if number + 1 < pages.len() {
        let link = format!("<{}?page={}>; rel=\"next\"", request.path, number + 1);
        let headers = response.headers_mut();
        headers.insert(header::LINK, link.parse().unwrap());
    }
    response
}

#[test]
fn catalog_with_lost_page_restarts() {
    let (source, target) = (Fake::start(), Fake::start());
    for name in ["team/one", "team/two", "team/three"] {
        source.client().push(name, "v1", &Image::oci(name));
    }
    let mut is_lost = false;
    source.rule(move |request| {
        let loses = request.path == "/v2/_catalog" && request.query.contains("page=2") && !is_lost;
        is_lost |= loses;
        match loses {
            true => Verdict::Answer(refusal(404, "NOT_FOUND")),
            false => Verdict::Serve,
        }
    });
    let pages: &[&[&str]] = &[&["team/one"], &["team/two"], &["team/three"]];
    list(&source, "/v2/_catalog", "repositories", pages);
    let mirrors = "[[mirror]]\nfrom = \"SOURCE/team/*\"\ntags = \"*\"\n";
    let report = between(source.host(), target.host(), mirrors).sync();
    assert_eq!(sum(&report, "/tags/copied"), 3, "{report:#}");
    let is_page = |request: &Request| request.path == "/v2/_catalog";
    assert_eq!(count(&source.requests(), is_page), 6);
}

#[test]
fn harbor_project_with_lost_page_restarts() {
    const PROJECT: &str = "/api/v2.0/projects/team/repositories";
    let (source, target) = (Fake::start(), Fake::start());
    let names = (0..150).map(|number| format!("team/app{number}"));
    let names: Vec<Value> = names.map(|name| json!({ "name": name })).collect();
    for name in ["team/app0", "team/app149"] {
        source.client().push(name, "v1", &Image::oci(name));
    }
    let mut is_lost = false;
    source.rule(move |request| {
        if request.path != PROJECT {
            return Verdict::Serve;
        }
        let is_second = parameter(&request.query, "page").as_deref() == Some("2");
        if is_second && !std::mem::replace(&mut is_lost, true) {
            return Verdict::Answer(refusal(404, "NOT_FOUND"));
        }
        let (first, second) = names.split_at(100);
        let page = if is_second { second } else { first };
        Verdict::Answer(answer(200, &json!(page)))
    });
    let mirrors = "[[mirror]]\nfrom = \"SOURCE/team/*\"\ntags = \"*\"\n";
    let report = between(source.host(), target.host(), mirrors).sync();
    assert_eq!(sum(&report, "/tags/copied"), 2, "{report:#}");
}

#[test]
fn referrers_with_lost_page_restart() {
    let oddities = Oddities {
        referrers: Some(1),
        ..Oddities::default()
    };
    let (source, target) = (Fake::with(oddities), Fake::start());
    let image = Image::oci("signed");
    source.client().push("app", "v1", &image);
    let referrers = ["application/spdx+json", "application/vnd.cyclonedx+json"]
        .map(|kind| Image::referring(kind, &image));
    for referrer in &referrers {
        source.client().push("app", &referrer.digest(), referrer);
    }
    let mut is_lost = false;
    source.rule(move |request| {
        let loses =
            request.path.contains("/referrers/") && request.query.contains("last=") && !is_lost;
        is_lost |= loses;
        match loses {
            true => Verdict::Answer(refusal(404, "NOT_FOUND")),
            false => Verdict::Serve,
        }
    });
    let mirrors = "[[mirror]]\nfrom = \"SOURCE/app\"\ntags = \"v*\"\nreferrers = true\n";
    between(source.host(), target.host(), mirrors).sync();
    for referrer in &referrers {
        let copy = target.client().manifest("mirror/app", &referrer.digest());
        assert!(copy.is_some(), "a referrer was lost with the page");
    }
}

#[test]
fn quay_pages_have_100_tags() {
    let (source, target) = (Fake::start(), Fake::start());
    source.client().push("acme/app", "v1", &Image::oci("app"));
    let mirrors = all_tags_of("acme/app");
    behind_proxy(source.host(), target.host(), "quay.io", &mirrors).sync();
    let requests = source.requests().into_iter();
    let asked: Vec<_> = requests.filter(Request::is_tag_list).collect();
    assert!(!asked.is_empty());
    for request in asked {
        assert_eq!(parameter(&request.query, "n").as_deref(), Some("100"));
    }
}

#[test]
fn refused_page_size_falls_back_to_100() {
    let (source, target) = (Fake::start(), Fake::start());
    source.client().push("team/one", "v1", &Image::oci("one"));
    source.rule(|request| {
        let asked: Option<u32> = parameter(&request.query, "n").and_then(|n| n.parse().ok());
        match asked.is_some_and(|n| n > 100) {
            true => Verdict::Answer(refusal(400, "PAGINATION_NUMBER_INVALID")),
            false => Verdict::Serve,
        }
    });
    list(&source, "/v2/_catalog", "repositories", &[&["team/one"]]);
    let mirrors = "[[mirror]]\nfrom = \"SOURCE/team/*\"\ntags = \"*\"\n";
    let report = between(source.host(), target.host(), mirrors).sync();
    assert_eq!(sum(&report, "/tags/copied"), 1, "{report:#}");
}

/// Mirrors `app`, which has `v1` and `v2` alone, whatever the pages of its list hold.
fn copied_from(pages: &'static [&[&str]]) -> u64 {
    let (source, target) = (Fake::start(), Fake::start());
    for tag in ["v1", "v2"] {
        source.client().push("app", tag, &Image::oci(tag));
    }
    list(&source, "/tags/list", "tags", pages);
    let report = between(source.host(), target.host(), &all_tags_of("app")).sync();
    assert_eq!(target.client().tags("mirror/app"), ["v1", "v2"]);
    sum(&report, "/tags/copied")
}

#[test]
fn empty_page_with_link_continues() {
    assert_eq!(copied_from(&[&["v1"], &[], &[], &["v2"], &[]]), 2);
}

#[test]
fn duplicate_listed_tags_merge() {
    assert_eq!(copied_from(&[&["v1", "v1"], &["v1", "v2"], &["v2"]]), 2);
}

#[test]
fn hanging_registry_delays_only_its_mirrors() {
    let (hung, well, target) = (Fake::start(), Fake::start(), Fake::start());
    let never = Instant::now() + Duration::from_secs(3600);
    hung.rule(move |request| match request.is_tag_list() {
        true => Verdict::ServeAt(never),
        false => Verdict::Serve,
    });
    well.client().push("well", "v1", &Image::oci("well"));
    let plain = |host: &str| format!("[registries.\"{host}\"]\nplain_http = true\n");
    let mut text = [&hung, &well, &target]
        .map(|fake| plain(fake.host()))
        .concat();
    let mut mirror = |from: &Fake, name: &str| {
        let (from, to) = (from.host(), target.host());
        text += &format!(
            "[[mirror]]\nfrom = \"{from}/{name}\"\ntags = \"*\"\ntarget = \"{to}\"\npath = \"{name}\"\n"
        );
    };
    for number in 0..40 {
        mirror(&hung, &format!("hung{number}"));
    }
    mirror(&well, "well");
    let transship = Transship::new(&text);
    let _running = transship.start(&["sync"]);
    wait_for("the image of the other registry", || {
        let is_there = target.client().tags("well") == ["v1"];
        is_there.then_some(())
    });
}
