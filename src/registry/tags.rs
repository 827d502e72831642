//! Tag listings, page by page.

use std::collections::HashSet;

use reqwest::{
    Method,
    header::{HeaderMap, LINK},
};
use serde::Deserialize;
use url::Url;

use super::{
    Error, Kind, Registry, found,
    transport::{Answer, Call, keep_to_origin},
};
use crate::oci::{Repository, Tag};

/// Most pages of one listing: ten million tags at a thousand a page.
const PAGE_LIMIT: usize = 10_000;

/// A whole listing, or the word that there is no such repository.
pub type Tags = Option<Vec<Tag>>;

#[derive(Deserialize)]
struct Page {
    // Nexus writes null for none.
    tags: Option<Vec<String>>,
}

impl Registry {
    /// Lists every tag of a repository. What is no legal tag is left out: Artifactory lists
    /// digests among them.
    pub async fn list_tags(&self, repository: &Repository) -> Result<Tags, Error> {
        let mut call = self.tags_call(repository);
        let mut tags = Vec::new();
        let mut seen = HashSet::new();
        while seen.len() < PAGE_LIMIT {
            let fail = |kind| self.wire.error(call.operation, call.subject.clone(), kind);
            if !seen.insert(call.url.clone()) {
                let text = format!("its listing goes in a circle at {}", call.url);
                return Err(fail(Kind::Protocol(text)));
            }
            let Some(answer) = found(self.transport.call(&self.wire, &call).await)? else {
                return if seen.len() == 1 {
                    Ok(None)
                } else {
                    Err(fail(Kind::Protocol("a page of its listing is gone".into())))
                };
            };
            tags.extend(self.tags_of(&call, &answer)?);
            match next_page(&call.url, &answer.headers).map_err(fail)? {
                Some(next) => call.url = next,
                None => return Ok(Some(tags)),
            }
        }
        let text = format!("its listing has more than {PAGE_LIMIT} pages");
        Err(self
            .wire
            .error(call.operation, call.subject, Kind::Protocol(text)))
    }

    /// The call for a listing's first page.
    pub(super) fn tags_call(&self, repository: &Repository) -> Call {
        let subject = repository.to_string();
        let mut call = self.request(
            "list tags of",
            subject,
            Method::GET,
            repository,
            "tags/list",
        );
        call.url.set_query(Some(&format!("n={}", self.page_size())));
        call
    }

    /// The tags of one page.
    pub(super) fn tags_of(&self, call: &Call, answer: &Answer) -> Result<Vec<Tag>, Error> {
        let page: Page = serde_json::from_slice(&answer.body).map_err(|e| {
            let kind = Kind::Protocol(format!("its tag list makes no sense: {e}"));
            self.wire.error(call.operation, call.subject.clone(), kind)
        })?;
        let tags = page.tags.into_iter().flatten();
        Ok(tags.filter_map(|tag| tag.parse().ok()).collect())
    }

    /// Tags asked for at a time; quay.io has refused more than 100.
    fn page_size(&self) -> u32 {
        if self.name().as_str() == "quay.io" {
            100
        } else {
            1000
        }
    }
}

/// Where the next page is, by the `Link` header
/// ([RFC 8288](https://www.rfc-editor.org/rfc/rfc8288)). A link that leaves the host would take
/// the listing, and perhaps its token, to somebody else.
fn next_page(current: &Url, headers: &HeaderMap) -> Result<Option<Url>, Kind> {
    let texts = headers
        .get_all(LINK)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let links = texts.flat_map(|text| text.split(",<").map(|link| link.trim_start_matches('<')));
    for link in links {
        let Some((target, parameters)) = link.split_once('>') else {
            continue;
        };
        let parameters = parameters.to_ascii_lowercase();
        if !parameters.contains("rel=\"next\"") && !parameters.contains("rel=next") {
            continue;
        }
        let mut next = current
            .join(target)
            .map_err(|e| Kind::Protocol(format!("its Link `{target}` is no URL: {e}")))?;
        if !keep_to_origin(current, &mut next) {
            return Err(Kind::Protocol(format!(
                "its listing goes on at another host, {next}"
            )));
        }
        return Ok(Some(next));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(link: &str) -> Result<Option<String>, Kind> {
        let current = Url::parse("https://r.example:5000/v2/a/tags/list?n=2").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(LINK, link.parse().unwrap());
        next_page(&current, &headers).map(|url| url.map(|url| url.to_string()))
    }

    #[test]
    fn a_relative_and_an_absolute_link_lead_on() {
        let expected = Some("https://r.example:5000/v2/a/tags/list?last=b&n=2".to_owned());
        assert_eq!(
            next("</v2/a/tags/list?last=b&n=2>; rel=\"next\"").unwrap(),
            expected
        );
        assert_eq!(
            next("<http://r.example/v2/a/tags/list?last=b&n=2>; rel=next").unwrap(),
            expected
        );
    }

    #[test]
    fn a_link_to_another_host_is_an_error() {
        assert!(next("<https://evil.example/v2/a/tags/list>; rel=\"next\"").is_err());
        assert!(next("<https://r.example:6000/v2/a/tags/list>; rel=\"next\"").is_err());
    }

    #[test]
    fn other_links_end_the_listing() {
        assert_eq!(next("</v2/a/tags/list?n=1>; rel=\"prev\"").unwrap(), None);
        assert_eq!(next("nonsense").unwrap(), None);
    }
}
