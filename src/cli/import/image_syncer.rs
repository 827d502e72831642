//! image-syncer's rules, in one file with the logins or in two
//! ([its manual](https://github.com/AliyunContainerService/image-syncer)).

use super::{
    image,
    model::{
        Entry, Fields, Import, Item, Keys, Login, Registry, Secret, Selectors, Source, Tags,
        Target, Teller,
    },
    pattern,
    tags::Filter,
    yaml::{BadYaml, Node},
};
use crate::oci::Repository;

/// Reads the rules, or the one file that older versions have.
pub(super) fn read(
    document: &Node,
    teller: &Teller,
    default_target: Option<&Target>,
) -> Result<Import, BadYaml> {
    let mut import = Import::default();
    let is_whole = document
        .get("images")
        .is_some_and(|node| node.map().is_some());
    let rules = if is_whole {
        let mut top = Fields::new(document, "the file")?;
        if let Some(auth) = top.get("auth") {
            read_logins(auth, teller, Variables::No, &mut import)?;
        }
        let rules = top.map("images")?;
        import.remarks.extend(top.unknown(teller));
        rules
    } else {
        document.map().unwrap_or_default()
    };
    for (source, targets) in rules {
        let rule = Rule::read(source, targets)?;
        match rule.entries(teller, default_target) {
            Ok(entries) => import.items.extend(entries),
            Err(reason) => {
                let text = format!("{}: {reason}", rule.source);
                import.items.push(Item::Lost(teller.loss(rule.line, text)));
            }
        }
    }
    let text = "image-syncer has no schedule: set one in [defaults], or run `transship sync` by \
                the timer that ran it";
    import.remarks.push(teller.note(0, text));
    Ok(import)
}

/// Whether `$NAME` is a variable. It is none in the one file that older versions have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Variables {
    Yes,
    No,
}

/// Reads the file of logins.
pub(super) fn read_auth(
    document: &Node,
    teller: &Teller,
    import: &mut Import,
) -> Result<(), BadYaml> {
    read_logins(document, teller, Variables::Yes, import)
}

/// Reads logins: a registry, or a namespace on one, with what lets in there.
fn read_logins(
    document: &Node,
    teller: &Teller,
    variables: Variables,
    import: &mut Import,
) -> Result<(), BadYaml> {
    let Some(pairs) = document.map() else {
        let help = "write the registry, and `username` and `password` below it";
        return Err(BadYaml::new(
            document.line,
            "there are no logins in it",
            help,
        ));
    };
    // What is said of a whole registry counts before what is said of a part.
    let is_part = |pair: &&(Node, Node)| name_of(&pair.0).contains('/');
    let (parts, whole): (Vec<_>, Vec<_>) = pairs.iter().partition(is_part);
    for (key, value) in whole.into_iter().chain(parts) {
        let mut fields = Fields::new(value, format!("`{}`", name_of(key)))?;
        let name = name_of(key);
        let (host, part) = name.split_once('/').unwrap_or((&name, ""));
        let mut read = Registry::new(host, teller.place(key.line));
        login(&mut fields, teller, variables, &mut read)?;
        if let (Some(true), Some(node)) = (fields.switch("insecure")?, fields.get("insecure")) {
            read.skip_verification("insecure", teller, node.line);
        }
        read.remarks.extend(fields.unknown(teller));
        let known = import.registry(host, teller.place(key.line));
        match (&known.login, part) {
            (_, "") => *known = read,
            (login, _) if login.is_same(&read.login) => {}
            (Login::None, _) => {
                let text = format!("the login of {name} is used for all of {host}");
                read.remarks.push(teller.note(key.line, text));
                *known = read;
            }
            _ => {
                let text = format!("the login of {name}: a registry has one login");
                known.remarks.push(teller.loss(key.line, text));
            }
        }
    }
    Ok(())
}

/// A registry's name, and a path on it perhaps.
fn name_of(key: &Node) -> String {
    let text = image::host(key.text().unwrap_or_default());
    match text.split_once('/') {
        Some((host, part)) => format!("{}/{part}", image::host(host)),
        None => text,
    }
}

fn login(
    fields: &mut Fields<'_>,
    teller: &Teller,
    variables: Variables,
    registry: &mut Registry,
) -> Result<(), BadYaml> {
    let line = fields.line();
    let (username, password) = (fields.text("username")?, fields.text("password")?);
    let (Some(username), Some(password)) = (username, password) else {
        if username.is_some() || password.is_some() {
            let text = "`username` and `password` are no login without each other";
            registry.remarks.push(teller.loss(line, text));
        }
        return Ok(());
    };
    let is_variable = |text: &str| variables == Variables::Yes && text.contains('$');
    let secret = match variable(password) {
        Some(name) if is_variable(password) => Secret::Env(name.into()),
        _ => Secret::Given(password.into()),
    };
    let is_computed = is_variable(password) && matches!(secret, Secret::Given(_));
    if is_variable(username) || is_computed {
        let text = "`username` is a variable, or `password` has one in it: set `username` as a \
                    text, and `password` as { env }, { file } or { credential }";
        registry.remarks.push(teller.loss(line, text));
        return Ok(());
    }
    registry.login = Login::Password {
        username: username.into(),
        secret,
    };
    Ok(())
}

/// The name in `$NAME` and `${NAME}`.
fn variable(text: &str) -> Option<&str> {
    let name = text.strip_prefix('$')?;
    let name = name
        .strip_prefix('{')
        .and_then(|name| name.strip_suffix('}'))
        .unwrap_or(name);
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name.then_some(name)
}

/// One rule.
struct Rule {
    line: usize,
    source: String,
    targets: Vec<String>,
}

/// What stands behind a repository.
enum Wanted {
    Nothing,
    Tags(Vec<String>),
    Matching(String),
}

impl Rule {
    fn read(source: &Node, targets: &Node) -> Result<Self, BadYaml> {
        let help = "write SOURCE: TARGET, or a list of targets";
        let wrong = |message: &str| BadYaml::new(source.line, message, help);
        let name = source
            .text()
            .ok_or_else(|| wrong("a rule without a source"))?;
        let texts: Option<Vec<&str>> = match targets.list() {
            Some(nodes) => nodes.iter().map(Node::text).collect(),
            None if targets.is_null() => Some(vec![""]),
            None => targets.text().map(|text| vec![text]),
        };
        let texts = texts.ok_or_else(|| wrong("a rule whose target is no text"))?;
        Ok(Self {
            line: source.line,
            source: name.into(),
            targets: texts.into_iter().map(String::from).collect(),
        })
    }

    fn entries(&self, teller: &Teller, default: Option<&Target>) -> Result<Vec<Item>, String> {
        let (source, wanted) = split(&self.source)?;
        let (mut plain, mut items) = (Vec::new(), Vec::new());
        for text in &self.targets {
            let (target, new) = match text.trim() {
                "" => (below(default, &source)?, Wanted::Nothing),
                text => {
                    let (repository, new) = split(text)?;
                    (image::target(&repository), new)
                }
            };
            match renamed(&wanted, new) {
                Ok(None) if !plain.contains(&target) => plain.push(target),
                Ok(None) => {}
                Ok(Some(groups)) => items.extend(groups.into_iter().map(|(tag, names)| {
                    let keys = Keys {
                        tag,
                        ..Keys::default()
                    };
                    self.entry(
                        teller,
                        &source,
                        vec![target.clone()],
                        Tags::Named(names),
                        keys,
                    )
                })),
                Err(reason) => {
                    let text = format!("{} to {text}: {reason}", self.source);
                    items.push(Item::Lost(teller.loss(self.line, text)));
                }
            }
        }
        if !plain.is_empty() {
            let tags = match wanted {
                Wanted::Nothing => Tags::Listed(Selectors::all()),
                Wanted::Tags(names) => Tags::Named(names),
                Wanted::Matching(whole) => {
                    let filter = Filter {
                        allow: vec![whole],
                        ..Filter::default()
                    };
                    Tags::Listed(filter.selectors()?.alternatives.swap_remove(0))
                }
            };
            let entry = self.entry(teller, &source, plain, tags, Keys::default());
            items.insert(0, entry);
        }
        Ok(items)
    }

    fn entry(
        &self,
        teller: &Teller,
        source: &Repository,
        targets: Vec<Target>,
        tags: Tags,
        keys: Keys,
    ) -> Item {
        Item::Entry(Box::new(Entry {
            place: teller.place(self.line),
            group: source.registry().to_string(),
            name: None,
            source: Source::Repository(source.clone()),
            targets,
            tags,
            keys,
            remarks: Vec::new(),
            refused: None,
        }))
    }
}

/// A repository and what stands behind it: nothing, tags with commas between, `/an expression/`.
fn split(text: &str) -> Result<(Repository, Wanted), String> {
    if let Some((name, search)) = text.strip_suffix('/').and_then(|t| t.split_once(":/")) {
        // The expression is searched for in a tag.
        let whole = pattern::whole(search)?;
        return Ok((image::parse(name)?.repository, Wanted::Matching(whole)));
    }
    if text.contains('$') {
        return Err("it holds a variable; write out what it stands for".into());
    }
    let (name, tags) = match text.rsplit_once(':') {
        Some((name, tags)) if !tags.contains('/') && !text.contains('@') => (name, tags),
        _ => (text, ""),
    };
    let image = image::parse(name)?;
    if tags.is_empty() {
        return Ok((image.repository, Wanted::Nothing));
    }
    let tags: Vec<String> = tags.split(',').map(|tag| tag.trim().to_owned()).collect();
    match tags.iter().find(|tag| !image::is_tag(tag)) {
        Some(wrong) => Err(format!("`{wrong}` is not a tag")),
        None => Ok((image.repository, Wanted::Tags(tags))),
    }
}

/// The place of a repository below what image-syncer was started with.
fn below(default: Option<&Target>, source: &Repository) -> Result<Target, String> {
    let default = default.ok_or(
        "it has no target, which image-syncer's --registry and --namespace name: give them as \
         --target REGISTRY/NAMESPACE",
    )?;
    let name = source.path().rsplit('/').next().unwrap_or_default();
    Ok(default.below(name))
}

/// The tags by what they are called at the target; none if they keep their names.
#[expect(clippy::type_complexity, reason = "a name and the tags that it is for")]
fn renamed(
    wanted: &Wanted,
    new: Wanted,
) -> Result<Option<Vec<(Option<String>, Vec<String>)>>, String> {
    let (old, new) = match (wanted, new) {
        (_, Wanted::Nothing) => return Ok(None),
        (Wanted::Tags(old), Wanted::Tags(new)) if old.len() == new.len() => (old, new),
        _ => return Err("the target has tags, and the source does not have as many".into()),
    };
    let mut groups: Vec<(Option<String>, Vec<String>)> = Vec::new();
    for (old, new) in old.iter().zip(&new) {
        let tag = image::rename(old, new)?;
        match groups.iter_mut().find(|(known, _)| *known == tag) {
            Some((_, names)) => names.push(old.clone()),
            None => groups.push((tag, vec![old.clone()])),
        }
    }
    Ok(Some(groups))
}
