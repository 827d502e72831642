//! Every channel against a server that checks what it is sent.

mod delivery;
mod mail;
mod mail_server;
mod pings;
mod recipes;
mod robots;
mod server;
mod webhooks;

use std::{path::Path, sync::Arc, time::Duration};

use serde_json::json;

use super::*;
use crate::{
    locales::Language,
    registry::RetryPolicy,
    status::{Line, Severity, Table},
};

/// No test waits as long as a daemon would.
const PATIENCE: Patience = Patience {
    retry: RetryPolicy {
        attempts: 3,
        first_pause: Duration::from_millis(1),
    },
    once: Duration::from_secs(10),
    total: Duration::from_secs(20),
};

const MIRRORS: &str = "[defaults]\ntarget = \"m.example.com/a\"\n\
                       [[mirror]]\nname = \"nginx\"\nfrom = \"a:1\"\n\
                       [[mirror]]\nname = \"redis\"\nfrom = \"b:1\"\n";

/// A notifier with these tables in its file.
fn notifier(tables: &str) -> Notifier {
    let config = Config::parse(Path::new("nowhere.toml"), &format!("{tables}\n{MIRRORS}"));
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    let metrics = Arc::new(Metrics::new().unwrap());
    Notifier {
        patience: PATIENCE,
        queues: HashMap::new(),
        ..Notifier::new(&config, metrics).unwrap()
    }
}

fn document() -> Document {
    let mut document = Document::new("转运: 2 of 3 mirrors are behind", Severity::Warning);
    let mut table = Table::new(["mirror", "lag"]);
    table.row(["nginx", "1h 12m"]).row(["镜像", "3h"]);
    document.add_headed("Behind <now>").table(table);
    let line = Line::default().plain("worst: ").code("quay.io/a/b*c_d");
    let line = line.plain(" <@all> & `x` ](http://h) *y*");
    document.add_section().line(line);
    document
}

/// A document of so many lines, most of them Chinese.
fn long(lines: usize) -> Document {
    let mut document = Document::new("a long day", Severity::Bad);
    let section = document.add_headed("Lines");
    for line in 0..lines {
        section.line(format!("第{line}行: 镜像落后于上游 \"<&>\""));
    }
    document
}

fn message(topic: Topic, document: Document) -> Message {
    Message {
        topic,
        audience: Audience::Everyone,
        json: json!({ "title": document.title(), "behind": 2 }),
        document: document.into(),
    }
}

fn alarm() -> Message {
    message(Topic::Lag, document())
}

/// The one result of a delivery to one channel.
#[track_caller]
fn only(deliveries: Vec<Delivery>) -> Result<(), Error> {
    assert_eq!(deliveries.len(), 1, "{deliveries:#?}");
    deliveries.into_iter().next().unwrap().result
}
