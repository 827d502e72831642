//! What reading a file needs beside its text: it collects remarks, and fills in variables.

use std::{cell::RefCell, sync::Arc};

use crate::{
    Lookup,
    diagnostics::{Error, Place, Remark},
    model::Registry,
    template::{self, Part, Syntax},
    yaml::{Text, line},
};

/// Keys without an equivalent that have one of another kind.
const HINTS: [(&str, &str); 9] = [
    ("regcert", "save it as a file for `ca_file`"),
    ("clientCert", "save it as a file for `client_cert`"),
    ("clientKey", "save it as a file for `client_key`"),
    ("cert-dir", "name its files with `ca_file`, `client_cert`"),
    ("scheme", "set `plain_http = true` if it is http"),
    ("mirrors", "set `endpoint` to send requests elsewhere"),
    ("hooks", "[notify] reports runs"),
    ("pathPrefix", "write it into each `from`"),
    ("mappings_file", "copy its mappings into this file first"),
];

/// Reads one file.
pub(crate) struct Reader<'a> {
    pub(crate) file: Arc<str>,
    lookup: Lookup<'a>,
    pub(crate) remarks: RefCell<Vec<Remark>>,
}

/// Why something is not read. None if that is reported already.
pub(crate) type Unread = Option<String>;

impl<'a> Reader<'a> {
    pub(crate) fn new(file: &str, lookup: Lookup<'a>) -> Self {
        Self {
            file: transship_text::one_line(file).into(),
            lookup,
            remarks: RefCell::default(),
        }
    }

    pub(crate) fn place(&self, line: usize) -> Place {
        let file = self.file.clone();
        Place { file, line }
    }

    /// Reports something that the output does not do.
    pub(crate) fn lose(&self, line: usize, text: impl AsRef<str>) {
        let loss = Remark::loss(self.place(line), text);
        self.remarks.borrow_mut().push(loss);
    }

    /// Reports something to know, or to do.
    pub(crate) fn note(&self, line: usize, text: impl AsRef<str>) {
        let loss = Remark::loss(self.place(line), text);
        let is_loss = false;
        self.remarks.borrow_mut().push(Remark { is_loss, ..loss });
    }

    pub(crate) fn error(&self, line: usize, message: impl AsRef<str>, help: &'static str) -> Error {
        let message = transship_text::one_line(message.as_ref());
        let place = self.place(line.max(1));
        Error::File {
            place,
            message,
            help,
        }
    }

    pub(crate) fn registry(&self, name: &str, line: usize) -> Registry {
        Registry {
            place: self.place(line),
            name: name.into(),
            ..Registry::default()
        }
    }

    /// Reports each key that was not read and is not `needless`.
    pub(crate) fn unread(&self, other: &[Text], needless: &str) {
        for key in other {
            let name = key.value.as_str();
            let hint = HINTS.iter().find(|(known, _)| *known == name);
            let hint = hint.map_or(String::new(), |(_, hint)| format!(": {hint}"));
            if !name.starts_with("x-") && !needless.split(' ').any(|known| known == name) {
                self.lose(line(key), format!("`{name}` has no equivalent{hint}"));
            }
        }
    }

    /// A text that has to be there.
    pub(crate) fn needed<'t>(
        &self,
        text: Option<&'t str>,
        line: usize,
        what: &str,
    ) -> Result<&'t str, Error> {
        let help = "add it, or remove the entry";
        text.ok_or_else(|| self.error(line, what, help))
    }

    /// A text with its variables filled in. `fields` are the expressions that have values. A variable
    /// without one is reported once.
    pub(crate) fn fill(
        &self,
        text: &str,
        syntax: Syntax,
        line: usize,
        fields: &[(&str, &str)],
    ) -> Result<String, Unread> {
        let mut filled = String::new();
        for part in template::parts(text, syntax) {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Env(name) => match (self.lookup)(name) {
                    Some(value) => filled.push_str(&value),
                    None => {
                        let text = format!(
                            "`{name}` has no value, and names hold it: import again with --set \
                             {name}=…, or with it in the environment"
                        );
                        let is_known = |remark: &Remark| remark.text == text;
                        if !self.remarks.borrow().iter().any(is_known) {
                            self.lose(line, &text);
                        }
                        return Err(None);
                    }
                },
                Part::File(text) | Part::Expression(text) => {
                    let known = fields.iter().find(|(name, _)| *name == text);
                    let wrong = || format!("`{text}` has no value here: write it out");
                    filled.push_str(known.ok_or_else(wrong)?.1);
                }
            }
        }
        Ok(filled)
    }
}
