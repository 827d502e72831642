//! The tags of a repository of Docker Hub, by its own interface
//! ([its API](https://docs.docker.com/reference/api/hub/latest/)), which needs no login.

use serde::Deserialize;
use url::Url;

use super::{PAGE_SIZE, Page, Told, parse, seconds};
use crate::{
    oci::Repository,
    registry::{
        Kind, Listing, Registry,
        catalog::own_next,
        transport::{Answer, Login},
    },
};

#[derive(Deserialize)]
struct HubPage {
    count: Option<usize>,
    next: Option<String>,
    results: Vec<HubTag>,
}

#[derive(Deserialize)]
struct HubTag {
    name: String,
    // Tags that were pushed long ago have none.
    digest: Option<String>,
    tag_last_pushed: Option<String>,
}

impl Registry {
    /// Every tag of a public repository; `None` where it cannot be one of Docker Hub's.
    pub(super) async fn list_hub_tags(
        &self,
        repository: &Repository,
        limit: usize,
    ) -> Option<Listing> {
        let (namespace, name) = repository.path().split_once('/')?;
        let mut first = Url::clone(&self.wire.base);
        // The interface has a host of its own, which differs from the registry's in the name alone.
        first.set_host(Some("hub.docker.com")).ok()?;
        first.set_path(&format!(
            "/v2/namespaces/{namespace}/repositories/{name}/tags"
        ));
        first.set_query(Some(&format!("page_size={PAGE_SIZE}")));
        let told = self.gather(repository, first, Login::Nobody, limit, read);
        Some(told.await)
    }
}

fn read(url: &Url, answer: &Answer) -> Result<Page, Kind> {
    let page: HubPage = parse(answer)?;
    let next = page.next.filter(|next| !next.is_empty());
    let next = next.map(|next| own_next(url, &next)).transpose()?;
    let told = page.results.into_iter().filter_map(|found| {
        Some(Told {
            tag: found.name.parse().ok()?,
            digest: found.digest.and_then(|digest| digest.parse().ok()),
            at: found.tag_last_pushed.as_deref().and_then(seconds),
        })
    });
    let told = told.collect();
    Ok(Page {
        told,
        next,
        total: page.count,
    })
}

#[cfg(test)]
mod tests {
    use super::{super::tests::answer, *};
    use crate::oci::Digest;

    fn url() -> Url {
        Url::parse("https://hub.docker.com/v2/namespaces/a/repositories/b/tags?page_size=100")
            .unwrap()
    }

    #[test]
    fn a_page_tells_what_it_knows_and_where_it_goes_on() {
        let digest = Digest::of(b"a");
        let page = format!(
            r#"{{"count": 3, "next": "https://hub.docker.com/v2/x?page=2", "results": [
                {{"name": "a", "digest": "{digest}", "tag_last_pushed": "2024-01-02T03:04:05.678901Z"}},
                {{"name": "b", "digest": null, "tag_last_pushed": null}},
                {{"name": "c", "digest": "", "images": []}}]}}"#
        );
        let page = read(&url(), &answer(&page)).unwrap();
        let told: Vec<_> = page
            .told
            .into_iter()
            .map(|told| (told.tag.to_string(), told.digest, told.at))
            .collect();
        let expected = [
            ("a".into(), Some(digest), Some(1_704_164_645)),
            ("b".into(), None, None),
            ("c".into(), None, None),
        ];
        assert_eq!(told, expected);
        let next = page.next.unwrap();
        assert_eq!(next.as_str(), "https://hub.docker.com/v2/x?page=2");
        assert_eq!(page.total, Some(3));
    }

    #[test]
    fn a_page_that_is_odd_or_leads_elsewhere_is_an_error() {
        for page in [
            r#"{"results": [{"digest": "sha256:1"}]}"#,
            r#"{"results": null}"#,
            r#"{"message": "object not found"}"#,
            r#"{"results": [], "next": "https://evil.example/"}"#,
            "<html>",
        ] {
            assert!(read(&url(), &answer(page)).is_err(), "{page}");
        }
    }
}
