//! The tables of `mirror.toml`.

use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, Value, value};

use super::placement::{DEFAULT_PATH, Placement};
use crate::model::{Keys, Registry, Setting};

/// Columns of a line.
pub(super) const WIDTH: usize = 98;

/// A `[registries."name"]`. Empty if it would have no key. `variable` is where a password goes.
pub(super) fn registry(registry: &Registry, variable: Option<&str>) -> String {
    let mut table = Table::new();
    for (key, setting) in registry.login.iter().chain(&registry.keys) {
        table[key] = item(setting, variable.unwrap_or_default());
    }
    if table.is_empty() {
        return String::new();
    }
    let mut registries = Table::new();
    registries.set_implicit(true);
    registries[&registry.name] = Item::Table(table);
    render("registries", Item::Table(registries))
}

/// `[defaults]`.
pub(super) fn defaults(default: &Placement, shared: &Keys) -> String {
    let mut table = Table::new();
    set_placement(
        &mut table,
        default,
        &Placement {
            path: DEFAULT_PATH.into(),
            ..Placement::default()
        },
    );
    for (key, setting) in shared {
        table[key] = item(setting, "");
    }
    render("defaults", Item::Table(table))
}

/// A `[[mirror]]`, without what `[defaults]` has. Several in `from` have a line each.
pub(super) fn mirror(
    name: Option<String>,
    from: &[String],
    placement: &Placement,
    keys: &Keys,
    default: &Placement,
    shared: &Keys,
) -> String {
    let mut table = Table::new();
    if let Some(name) = name {
        table["name"] = value(name);
    }
    table["from"] = match from {
        [from] => value(from),
        from => list(from, 0),
    };
    set_placement(&mut table, placement, default);
    for (key, setting) in keys.iter().filter(|key| !shared.contains(key)) {
        table[key] = item(setting, "");
    }
    let mut mirrors = ArrayOfTables::new();
    mirrors.push(table);
    render("mirror", Item::ArrayOfTables(mirrors))
}

fn set_placement(table: &mut Table, placement: &Placement, default: &Placement) {
    if placement.targets != default.targets {
        let targets = Setting::texts(placement.targets.clone());
        table["target"] = targets.map_or(Item::None, |targets| item(&targets, ""));
    }
    if placement.path != default.path {
        table["path"] = value(&placement.path);
    }
}

fn render(key: &str, item: Item) -> String {
    let mut document = DocumentMut::new();
    document[key] = item;
    document.to_string().trim().to_owned()
}

fn item(setting: &Setting, variable: &str) -> Item {
    let elsewhere = |kind: &str, name: &str| {
        let mut table = InlineTable::new();
        table.insert(kind, name.into());
        value(table)
    };
    match setting {
        Setting::Text(text) => value(text),
        Setting::List(texts) => list(texts, WIDTH),
        Setting::True => value(true),
        Setting::Number(text) => match text.parse::<i64>() {
            Ok(number) => value(number),
            Err(_) => value(text.parse::<f64>().unwrap_or_default()),
        },
        Setting::Elsewhere(kind, name) => elsewhere(kind, name),
        Setting::Password(_) => elsewhere("env", variable),
    }
}

/// A list on one line if it fits into `width` columns, else in lines that fit.
fn list(texts: &[String], width: usize) -> Item {
    let mut array: Array = texts.iter().collect();
    if array.to_string().len() + 20 <= width {
        return value(array);
    }
    let mut column = width;
    for item in array.iter_mut() {
        let length = item.to_string().trim().len() + 2;
        let is_full = column + length > width;
        column = if is_full { 4 } else { column } + length;
        let gap = if is_full { "\n    " } else { " " };
        let text: Value = std::mem::replace(item, Value::from(false));
        *item = text.decorated(gap, "");
    }
    array.set_trailing("\n");
    array.set_trailing_comma(true);
    value(array)
}
