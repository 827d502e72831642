//! The order of the mirrors in the overview.

use std::cmp::Reverse;

use crate::{
    locales::words::Words,
    status::{MirrorStatus, State},
    web::pages::page_request::PageRequest,
};

/// A column by which mirrors are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Name,
    State,
    Lag,
    Success,
    Next,
    Behind,
    Size,
}

/// Each order with its names in `?sort=`: the usual direction, and the other one.
const ORDERS: [(&str, &str, Order); 7] = [
    ("name", "-name", Order::Name),
    ("state", "-state", Order::State),
    ("lag", "-lag", Order::Lag),
    ("success", "-success", Order::Success),
    ("next", "-next", Order::Next),
    ("behind", "-behind", Order::Behind),
    ("size", "-size", Order::Size),
];

/// The head of a column: a link that sorts by it.
#[derive(Debug)]
pub(crate) struct SortLink {
    pub(crate) text: &'static str,
    pub(crate) href: String,
    /// The value of `?sort=`.
    pub(crate) value: &'static str,
    pub(crate) is_number: bool,
    /// What the figures count, where that needs a word.
    pub(crate) hint: Option<&'static str>,
    pub(crate) is_chosen: bool,
    /// The value of `aria-sort` while the table is sorted by it.
    pub(crate) direction: Option<&'static str>,
    /// An arrow while the table is sorted by it.
    pub(crate) sign: &'static str,
}

/// Parses `?sort=`.
pub(crate) fn known_order(name: &str) -> Option<&'static str> {
    let (usual, other, _) = ORDERS
        .iter()
        .find(|(usual, other, _)| name == *usual || name == *other)?;
    Some(if name == *usual { usual } else { other })
}

/// Sorts mirrors that are worst first. Equal ones stay in that order.
pub(crate) fn sort(mirrors: &mut [&MirrorStatus], name: Option<&str>) {
    let found = ORDERS
        .iter()
        .find(|(usual, other, _)| Some(*usual) == name || Some(*other) == name);
    let Some((_, other, order)) = found else {
        return;
    };
    mirrors.sort_by(|a, b| order.compare(a, b));
    if Some(*other) == name {
        mirrors.reverse();
    }
}

/// The heads of the columns that sort.
pub(crate) fn links(request: &PageRequest) -> Vec<SortLink> {
    let chosen = request.get("sort");
    let links = ORDERS.iter().map(|(usual, other, order)| {
        let (is_usual, is_other) = (chosen == Some(*usual), chosen == Some(*other));
        let direction = (is_usual || is_other).then_some(order.is_descending() == is_usual);
        SortLink {
            text: order.text(request.words()),
            href: request.here("sort", Some(if is_usual { other } else { usual })),
            value: usual,
            is_number: matches!(order, Order::Behind | Order::Size),
            hint: (*order == Order::Size).then_some(request.words().mirror.unique),
            is_chosen: is_usual || is_other,
            direction: direction.map(|down| if down { "descending" } else { "ascending" }),
            sign: match direction {
                None => "",
                Some(true) => "▾",
                Some(false) => "▴",
            },
        }
    });
    links.collect()
}

impl Order {
    fn text(self, words: &'static Words) -> &'static str {
        match self {
            Self::Name => words.mirror.mirror,
            Self::State => words.mirror.state,
            Self::Lag => words.mirror.lag,
            Self::Success => words.mirror.last_success,
            Self::Next => words.mirror.next_run,
            Self::Behind => words.mirror.behind,
            Self::Size => words.mirror.size,
        }
    }

    /// Whether its usual direction starts with the largest.
    fn is_descending(self) -> bool {
        matches!(self, Self::Lag | Self::Behind | Self::Size)
    }

    fn compare(self, a: &MirrorStatus, b: &MirrorStatus) -> std::cmp::Ordering {
        match self {
            Self::Name => a.name.cmp(&b.name),
            Self::State => rank(a.state).cmp(&rank(b.state)),
            Self::Lag => b.lag_seconds.cmp(&a.lag_seconds),
            Self::Success => a.last_success.cmp(&b.last_success),
            Self::Next => {
                let key = |mirror: &MirrorStatus| (mirror.next_run.is_none(), mirror.next_run);
                key(a).cmp(&key(b))
            }
            Self::Behind => Reverse(a.behind_tags()).cmp(&Reverse(b.behind_tags())),
            Self::Size => Reverse(a.size_bytes).cmp(&Reverse(b.size_bytes)),
        }
    }
}

/// The worst states first.
fn rank(state: State) -> usize {
    match state {
        State::Behind => 0,
        State::Damaged => 1,
        State::Failing => 2,
        State::Unfinished => 3,
        State::NeverSynced => 4,
        State::InSync => 5,
    }
}
