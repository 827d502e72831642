//! Reads YAML, and JSON with it, as a tree in which every value knows its line.
//!
//! An alias shares what its anchor stands for, so that it takes no memory; how many values a file
//! stands for once all are expanded is counted and bounded.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use saphyr_parser::{Event, Parser, ScalarStyle};

/// Values that a file may stand for, aliases expanded. A list of ten thousand images has fewer.
const MOST_VALUES: usize = 1_000_000;

/// Values within values.
const MOST_DEPTH: usize = 64;

/// A value and where it begins.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Counted from 1.
    pub(super) line: usize,
    value: Rc<Value>,
    /// How many values this stands for, itself included.
    count: usize,
}

#[derive(Debug)]
enum Value {
    Scalar { text: String, is_plain: bool },
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

/// Why a text is not YAML that can be used, and where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadYaml {
    /// Counted from 1.
    pub(super) line: usize,
    pub(super) message: String,
    pub(super) help: &'static str,
}

impl BadYaml {
    pub(super) fn new(line: usize, message: impl Into<String>, help: &'static str) -> Self {
        Self {
            line,
            message: message.into(),
            help,
        }
    }
}

/// Reads a text that holds one document.
pub(super) fn parse(text: &str) -> Result<Node, BadYaml> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // JSON may be indented with tabs, which YAML forbids; in its strings there are none.
    let is_json = text.trim_start().starts_with(['{', '[']);
    let spaced = is_json.then(|| text.replace('\t', " "));
    let mut builder = Builder::default();
    let mut parser = Parser::new_from_str(spaced.as_deref().unwrap_or(text));
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| {
            let help = "correct the syntax; the tool that the file is for tells the same mistake";
            let message = format!("not YAML or JSON: {}", error.info());
            BadYaml::new(error.marker().line(), message, help)
        })?;
        builder.take(event, span.start.line())?;
    }
    builder.document.ok_or_else(|| {
        let help = "name the file that says what is mirrored";
        BadYaml::new(1, "there is nothing in it", help)
    })
}

/// A list or a map that is not at its end.
struct Open {
    line: usize,
    anchor: usize,
    is_map: bool,
    nodes: Vec<Node>,
    count: usize,
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    document: Option<Node>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, line: usize) -> Result<(), BadYaml> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let value = Value::Scalar {
                    text: text.into_owned(),
                    is_plain: style == ScalarStyle::Plain,
                };
                self.put(Node::new(line, value, 1), anchor)
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(node) => self.put(node.clone(), 0),
                None => Err(BadYaml::new(
                    line,
                    "an alias within what it stands for",
                    "write the value out",
                )),
            },
            Event::SequenceStart(anchor, _) => self.begin(line, anchor, false),
            Event::MappingStart(anchor, _) => self.begin(line, anchor, true),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::DocumentStart(_) if self.document.is_some() => Err(BadYaml::new(
                line,
                "a second document begins",
                "put each document into a file of its own",
            )),
            _ => Ok(()),
        }
    }

    fn begin(&mut self, line: usize, anchor: usize, is_map: bool) -> Result<(), BadYaml> {
        if self.open.len() >= MOST_DEPTH {
            let message = format!("values within values, {MOST_DEPTH} deep");
            return Err(BadYaml::new(line, message, "no such file is that deep"));
        }
        self.open.push(Open {
            line,
            anchor,
            is_map,
            nodes: Vec::new(),
            count: 1,
        });
        Ok(())
    }

    fn end(&mut self) -> Result<(), BadYaml> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let value = match open.is_map {
            false => Value::List(open.nodes),
            true => Value::Map(pairs(open.nodes)?),
        };
        self.put(Node::new(open.line, value, open.count), open.anchor)
    }

    fn put(&mut self, node: Node, anchor: usize) -> Result<(), BadYaml> {
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.document = Some(node),
            Some(open) => {
                open.count = open.count.saturating_add(node.count);
                if open.count > MOST_VALUES {
                    let message = format!("aliases make more than {MOST_VALUES} values of it");
                    let help = "write out what the aliases stand for, as far as it is meant";
                    return Err(BadYaml::new(open.line, message, help));
                }
                open.nodes.push(node);
            }
        }
        Ok(())
    }
}

/// Keys with their values; what `<<` merges in comes after the keys of the map itself.
fn pairs(nodes: Vec<Node>) -> Result<Vec<(Node, Node)>, BadYaml> {
    let (mut own, mut merged) = (Vec::new(), Vec::new());
    let mut seen = HashSet::new();
    let mut nodes = nodes.into_iter();
    while let (Some(key), Some(value)) = (nodes.next(), nodes.next()) {
        let name = key.text().unwrap_or_default().to_owned();
        match name.as_str() {
            "<<" => merged.push(value),
            _ if !seen.insert(name.clone()) => {
                let message = format!("`{name}` is given twice");
                return Err(BadYaml::new(key.line, message, "remove one of the two"));
            }
            _ => own.push((key, value)),
        }
    }
    let of_lists = |node: Node| node.list().map_or(vec![node.clone()], <[Node]>::to_vec);
    for (key, value) in merged
        .into_iter()
        .flat_map(of_lists)
        .flat_map(|node| node.map().map(<[(Node, Node)]>::to_vec).unwrap_or_default())
    {
        if seen.insert(key.text().unwrap_or_default().to_owned()) {
            own.push((key, value));
        }
    }
    Ok(own)
}

impl Node {
    fn new(line: usize, value: Value, count: usize) -> Self {
        Self {
            line,
            value: Rc::new(value),
            count,
        }
    }

    /// The text of a value that is neither a list nor a map.
    pub(super) fn text(&self) -> Option<&str> {
        match &*self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The entries of a list.
    pub(super) fn list(&self) -> Option<&[Node]> {
        match &*self.value {
            Value::List(nodes) => Some(nodes),
            _ => None,
        }
    }

    /// The keys of a map with their values.
    pub(super) fn map(&self) -> Option<&[(Node, Node)]> {
        match &*self.value {
            Value::Map(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// Whether nothing was written, or `null`.
    pub(super) fn is_null(&self) -> bool {
        match &*self.value {
            Value::Scalar { text, is_plain } => {
                *is_plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL")
            }
            _ => false,
        }
    }

    /// `true` or `false`, as YAML 1.1 and 1.2 write them.
    pub(super) fn switch(&self) -> Option<bool> {
        match self.text()?.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" => Some(false),
            _ => None,
        }
    }

    /// The value of a key of a map; none where it is null.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        let mut pairs = self.map()?.iter();
        let (_, value) = pairs.find(|(name, _)| name.text() == Some(key))?;
        Some(value).filter(|value| !value.is_null())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> BadYaml {
        parse(text).expect_err(text)
    }

    #[test]
    fn every_value_knows_its_line() {
        let node = parse("# one\na:\n  - x\n  - {b: 'y'}\n").unwrap();
        let list = node.get("a").unwrap().list().unwrap();
        assert_eq!((list[0].line, list[1].get("b").unwrap().line), (3, 4));
        assert_eq!(list[1].get("b").unwrap().text(), Some("y"));
    }

    #[test]
    fn json_is_read_however_it_is_indented() {
        let node = parse("{\n\t\"a\": {\n\t\t\"b\": [\"x\\u0041\", true, null]\n\t}\n}").unwrap();
        let list = node.get("a").and_then(|a| a.get("b")?.list()).unwrap();
        assert_eq!(list[0].text(), Some("xA"));
        assert_eq!(list[1].switch(), Some(true));
        assert!(list[2].is_null());
    }

    #[test]
    fn a_merge_brings_what_a_map_does_not_have() {
        let text = "x: &x {a: 1, b: 2}\ny: &y {c: 3}\nz:\n  <<: [*x, *y]\n  b: own\n";
        let node = parse(text).unwrap();
        let z = node.get("z").unwrap();
        let of = |key| z.get(key).and_then(Node::text);
        assert_eq!(
            (of("a"), of("b"), of("c")),
            (Some("1"), Some("own"), Some("3"))
        );
    }

    /// Ten to the power of twenty values in half a kilobyte.
    #[test]
    fn aliases_that_explode_are_refused_at_once() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for at in 1..20 {
            let aliases = vec![format!("*a{}", at - 1); 10].join(", ");
            text.push_str(&format!("a{at}: &a{at} [{aliases}]\n"));
        }
        let bad = refused(&text);
        assert!(bad.message.contains("1000000 values"), "{bad:?}");
        assert_eq!(bad.line, 6);
    }

    #[test]
    fn what_is_no_document_is_refused_with_its_line() {
        for (text, line, words) in [
            ("", 1, "nothing in it"),
            ("a: 1\nb: [1\n", 3, "not YAML"),
            ("a: 1\na: 2\n", 2, "given twice"),
            ("a: 1\n---\nb: 1\n", 2, "second document"),
            ("a: &a [*a]\n", 1, "alias"),
            ("a: *b\n", 1, "not YAML"),
            ("a: \"\u{0}\"\n", 1, "not YAML"),
        ] {
            let bad = refused(text);
            assert!(bad.message.contains(words), "{text:?}: {bad:?}");
            assert_eq!(bad.line, line, "{text:?}: {bad:?}");
        }
    }

    #[test]
    fn depth_is_bounded_in_either_style() {
        let flow = "[".repeat(100_000);
        let block: String = (0..200)
            .map(|at| format!("{}a:\n", " ".repeat(at)))
            .collect();
        for (text, words) in [(flow, "recursion limit"), (block, "64 deep")] {
            let bad = refused(&text);
            assert!(bad.message.contains(words), "{bad:?}");
        }
    }
}
