//! Tag lists of several pages, and those that lead nowhere good.

use axum::http::header;
use serde_json::json;

use crate::support::programs::pair::{all_tags_of, between};
use crate::support::registries::client::assert_mirrored;
use crate::support::registries::corpus::Image;
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::{answer, parameter, redirect};
use crate::support::registries::fake_contents::{Oddities, PageLink};
use crate::support::registries::registry::Registry;
use crate::support::registries::requests::{Request, assert_only_reads, count};

/// A fake source whose `app` has 25 tags on pages of ten.
fn source_with(link: PageLink, other_host: &str) -> Fake {
    let oddities = Oddities {
        pages: Some((10, link)),
        other_host: other_host.to_owned(),
        ..Oddities::default()
    };
    let source = Fake::with(oddities);
    let (client, image) = (
        source.client(),
        Image::without_layers("the same on every page"),
    );
    for number in 0..25 {
        client.push("app", &format!("v{number}"), &image);
    }
    source
}

fn assert_all_pages_are_read(link: PageLink) {
    let (source, target) = (source_with(link, ""), Registry::start());
    between(source.host(), target.host(), &all_tags_of("app")).sync();
    assert_eq!(target.client().tags("mirror/app").len(), 25);
    assert_eq!(count(&source.requests(), Request::is_tag_list), 3);
}

#[test]
fn follows_relative_link() {
    assert_all_pages_are_read(PageLink::Relative);
}

#[test]
fn follows_absolute_link() {
    assert_all_pages_are_read(PageLink::Absolute);
}

#[test]
fn reads_all_target_pages() {
    let (source, target) = (Registry::start(), source_with(PageLink::Relative, ""));
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    let client = source.client();
    for number in 0..25 {
        client.push(
            "app",
            &format!("w{number}"),
            &Image::without_layers("the same"),
        );
    }
    transship.sync();
    target.new_requests();
    transship.sync();
    assert_only_reads(&target.new_requests());
}

#[test]
fn link_loop_is_an_error() {
    let (source, target) = (source_with(PageLink::Loop, ""), Registry::start());
    let finished = between(source.host(), target.host(), &all_tags_of("app"))
        .run(&["sync"])
        .expect_code(2);
    finished.expect_stderr(&["app"]);
    let pages = count(&source.requests(), Request::is_tag_list);
    assert!(pages < 20, "{pages} pages of a circle were read");
}

#[test]
fn foreign_link_is_not_followed() {
    let (other, target) = (Fake::start(), Registry::start());
    let source = source_with(PageLink::OtherHost, other.host());
    between(source.host(), target.host(), &all_tags_of("app")).sync();
    assert_eq!(target.client().tags("mirror/app").len(), 25);
    assert_eq!(count(&source.requests(), Request::is_tag_list), 3);
    assert!(other.requests().is_empty(), "{:#?}", other.requests());
}

/// Adds the link to the next page to each page of ten tags: the path that `place` makes of it.
fn link_to(source: &Fake, place: fn(&str) -> String) {
    let names: Vec<String> = (0..25).map(|number| format!("v{number}")).collect();
    source.rule(move |request| {
        if request.path != "/v2/app/tags/list" {
            return Verdict::Serve;
        }
        let from = parameter(&request.query, "from").map_or(0, |from| from.parse().unwrap());
        let page: Vec<_> = names.iter().skip(from).take(10).collect();
        let mut response = answer(200, &json!({ "name": "app", "tags": page }));
        if from + 10 < names.len() {
            let link = place(&format!("app/tags/list?from={}", from + 10));
            let link = format!("<{link}>; rel=\"next\"").parse().unwrap();
            response.headers_mut().insert(header::LINK, link);
        }
        Verdict::Answer(response)
    });
}

#[test]
fn link_to_a_path_of_its_own_side_leads_on() {
    let places: [fn(&str) -> String; 3] = [
        // Nexus names the path on its other port, Artifactory forgets the repository's key.
        |page| format!("http://nexus.inside:8081/repository/docker/v2/{page}"),
        |page| format!("/v2/{}", page.trim_start_matches("app/")),
        |page| format!("https://cell-7.inside/v2/cell-7/{page}"),
    ];
    for place in places {
        let (source, target) = (source_with(PageLink::Relative, ""), Registry::start());
        link_to(&source, place);
        between(source.host(), target.host(), &all_tags_of("app")).sync();
        assert_eq!(target.client().tags("mirror/app").len(), 25);
    }
}

#[test]
fn redirect_to_a_hidden_host_is_asked_of_the_own_one() {
    let (source, target) = (Fake::start(), Registry::start());
    let image = Image::two_platforms("behind a proxy");
    source.client().push("app", "v1", &image);
    source.rule(|request| {
        let is_sent_on = request.is_tag_list() || request.path.ends_with("/manifests/v1");
        if !is_sent_on || request.query.contains("again") {
            return Verdict::Serve;
        }
        let to = format!("http://registry.invalid:5000{}?again", request.path);
        Verdict::Answer(redirect(&to))
    });
    between(source.host(), target.host(), &all_tags_of("app")).sync();
    let (from, to) = (source.client(), target.client());
    assert_mirrored(&from, "app", &to, "mirror/app", "v1");
}

#[test]
fn null_tag_list_is_empty() {
    let (source, target) = (Registry::start(), Registry::start());
    let (image, kept) = (
        Image::oci("deleted at the target"),
        Image::oci("of the source"),
    );
    target.client().push("mirror/app", "v1", &image);
    target
        .client()
        .delete_manifest("mirror/app", &image.digest());
    source.client().push("app", "v1", &kept);
    between(source.host(), target.host(), &all_tags_of("app")).sync();
    assert_eq!(
        target.client().manifest("mirror/app", "v1").unwrap().digest,
        kept.digest()
    );
}
