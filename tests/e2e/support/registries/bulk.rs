//! Listings that tell digests and push times of many tags, as several registries write them.

use serde_json::{Map, Value, json};

use crate::support::registries::corpus::Image;
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::{answer, parameter};
use crate::support::registries::requests::Request;

const DAY: i64 = 86_400;

/// Tags a page, where the registry decides.
const PAGE: usize = 2;

/// A tag as a listing tells it.
#[derive(Clone, Debug)]
pub struct BulkTag {
    pub tag: String,
    pub digest: Option<String>,
    /// Days ago.
    pub pushed: i64,
}

impl BulkTag {
    fn at(&self) -> chrono::DateTime<chrono::Utc> {
        chrono::Utc::now() - chrono::Duration::seconds(self.pushed * DAY)
    }
}

pub fn row(tag: &str, image: &Image) -> BulkTag {
    BulkTag {
        tag: tag.to_owned(),
        digest: Some(image.digest()),
        pushed: 1,
    }
}

/// Pushes an image for each name, tagged so.
pub fn push(fake: &Fake, repository: &str, tags: &[&str]) -> Vec<BulkTag> {
    let client = fake.client();
    let push = |tag: &&str| {
        let image = Image::oci(tag);
        client.push(repository, tag, &image);
        row(tag, &image)
    };
    tags.iter().map(push).collect()
}

/// A page of tags as gcr.io and Artifact Registry give it.
pub fn uploads(rows: &[BulkTag]) -> Value {
    let mut manifests = Map::new();
    for row in rows {
        let Some(digest) = &row.digest else { continue };
        let entry = manifests.entry(digest.clone()).or_insert_with(|| {
            let at = row.at().timestamp_millis();
            json!({ "tag": [], "timeUploadedMs": at.to_string(), "mediaType": "" })
        });
        entry["tag"].as_array_mut().unwrap().push(json!(row.tag));
    }
    let tags: Vec<_> = rows.iter().map(|row| &row.tag).collect();
    json!({ "name": "app", "tags": tags, "manifest": manifests })
}

/// Where Docker Hub lists the tags of `acme/app`.
pub const HUB: &str = "/v2/namespaces/acme/repositories/app/tags";
/// Where quay.io does.
pub const QUAY: &str = "/api/v1/repository/acme/app/tag/";
/// Where a Harbor lists the artifacts of `acme/deep/app`.
pub const HARBOR: &str = "/api/v2.0/projects/acme/repositories/deep%252Fapp/artifacts";

/// A page of Docker Hub.
pub fn hub(rows: &[BulkTag], request: &Request) -> Value {
    let (page, has_more) = page(rows, request, PAGE);
    let next = format!("https://hub.docker.com{HUB}?page_size=100&page=");
    let number = number(request) + 1;
    let results = page.iter().map(|row| {
        json!({ "name": row.tag, "digest": row.digest, "tag_last_pushed": row.at().to_rfc3339(),
            "tag_status": "active", "images": [] })
    });
    json!({ "count": rows.len(), "next": has_more.then(|| format!("{next}{number}")),
        "previous": null, "results": results.collect::<Vec<_>>() })
}

/// A page of quay.io.
pub fn quay(rows: &[BulkTag], request: &Request) -> Value {
    let (page, has_more) = page(rows, request, PAGE);
    let tags = page.iter().map(|row| {
        json!({ "name": row.tag, "manifest_digest": row.digest, "start_ts": row.at().timestamp(),
            "reversion": false, "is_manifest_list": true })
    });
    json!({ "tags": tags.collect::<Vec<_>>(), "page": number(request), "has_additional": has_more })
}

/// A page of a Harbor: an artifact for each tag, and for each tag one that has none.
pub fn harbor(rows: &[BulkTag], request: &Request) -> Value {
    let size = parameter(&request.query, "page_size").unwrap();
    let all: Vec<BulkTag> = rows.iter().flat_map(|row| [row, row]).cloned().collect();
    let (page, _) = page(&all, request, size.parse().unwrap());
    let artifacts = page.iter().enumerate().map(|(at, row)| {
        let time = row.at().to_rfc3339();
        let tags = match at % 2 {
            0 => json!([{ "name": row.tag, "push_time": time }]),
            _ => Value::Null,
        };
        json!({ "digest": row.digest.as_deref().unwrap_or_default(), "push_time": time, "tags": tags })
    });
    artifacts.collect()
}

fn number(request: &Request) -> usize {
    let number = parameter(&request.query, "page");
    number.map_or(1, |number| number.parse().unwrap())
}

fn page<'a>(rows: &'a [BulkTag], request: &Request, size: usize) -> (&'a [BulkTag], bool) {
    let (from, to) = ((number(request) - 1) * size, number(request) * size);
    let (from, end) = (from.min(rows.len()), to.min(rows.len()));
    (&rows[from..end], to < rows.len())
}

/// Answers a path with such pages from now on.
pub fn serve(
    fake: &Fake,
    path: &'static str,
    rows: Vec<BulkTag>,
    page: impl Fn(&[BulkTag], &Request) -> Value + Send + 'static,
) {
    fake.rule(move |request| match request.path == path {
        true => Verdict::Answer(answer(200, &page(&rows, request))),
        false => Verdict::Serve,
    });
}
