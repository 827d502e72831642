//! Tag lists of several pages, and those that lead nowhere good.

use crate::support::programs::pair::{all_tags_of, between};
use crate::support::registries::corpus::Image;
use crate::support::registries::fake::Fake;
use crate::support::registries::fake_contents::{Link, Oddities};
use crate::support::registries::registry::Registry;
use crate::support::registries::requests::{Request, assert_only_reads, count};

/// A fake source whose `app` has 25 tags on pages of ten.
fn source_with(link: Link, other_host: &str) -> Fake {
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

fn assert_all_pages_are_read(link: Link) {
    let (source, target) = (source_with(link, ""), Registry::start());
    between(source.host(), target.host(), &all_tags_of("app")).sync();
    assert_eq!(target.client().tags("mirror/app").len(), 25);
    assert_eq!(count(&source.requests(), Request::is_tag_list), 3);
}

#[test]
fn follows_relative_link() {
    assert_all_pages_are_read(Link::Relative);
}

#[test]
fn follows_absolute_link() {
    assert_all_pages_are_read(Link::Absolute);
}

#[test]
fn reads_all_target_pages() {
    let (source, target) = (Registry::start(), source_with(Link::Relative, ""));
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
    let (source, target) = (source_with(Link::Loop, ""), Registry::start());
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
    let source = source_with(Link::OtherHost, other.host());
    let finished = between(source.host(), target.host(), &all_tags_of("app"))
        .run(&["sync"])
        .expect_code(2);
    finished.expect_stderr(&["app"]);
    assert!(other.requests().is_empty(), "{:#?}", other.requests());
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
