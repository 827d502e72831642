//! Writes the text of a first mirror.toml.

use std::{collections::BTreeSet, fmt::Write as _};

use crate::cli::{output::toml_string, setup::init::vendor::Needs};

/// How to log in at the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Login {
    /// Not at all.
    None,
    /// With what `docker login` stored.
    DockerConfig,
    /// With a credential helper, such as `ecr-login`.
    Helper(&'static str),
    /// With a name, and the password in a file.
    Password {
        /// The name of the user.
        user: String,
        /// The file.
        file: String,
    },
}

/// What the file is to say.
#[derive(Clone, Debug)]
pub(crate) struct MirrorFile<'a> {
    /// The zone of schedules.
    pub(crate) timezone: &'a str,
    /// The file of the store, where it is not the default.
    pub(crate) state: Option<&'a str>,
    /// A registry, and a path on it.
    pub(crate) target: &'a str,
    pub(crate) login: &'a Login,
    pub(crate) needs: Needs,
    /// What to mirror, as in `from`; with or without a tag.
    pub(crate) images: &'a [String],
}

impl MirrorFile<'_> {
    /// The text.
    pub(crate) fn render(&self) -> String {
        let mut text = String::from("# docs/configuration.md has a table of every key.\n\n");
        text += &format!("timezone = {}\n", toml_string(self.timezone));
        if let Some(state) = self.state {
            text += &format!("\n[state]\npath = {}\n", toml_string(state));
        }
        text += &self.registries();
        text += &self.defaults();
        for entry in self.mirrors() {
            text += &entry;
        }
        text
    }

    /// The target's table, and those of other registries on loopback.
    fn registries(&self) -> String {
        let target = host_of(self.target);
        let images = self.images.iter().map(|image| host_of(image));
        let others: BTreeSet<&str> = images.filter(|host| *host != target).collect();
        let others = others.into_iter().map(|host| table(host, String::new()));
        table(target, self.login()) + &others.collect::<String>()
    }

    fn login(&self) -> String {
        match self.login {
            Login::None => String::new(),
            Login::DockerConfig => "login = \"docker-config\"\n".into(),
            Login::Helper(name) => format!("login = {{ helper = {} }}\n", toml_string(name)),
            Login::Password { user, file } => format!(
                "username = {}\npassword = {{ file = {} }}\n",
                toml_string(user),
                toml_string(file)
            ),
        }
    }

    fn defaults(&self) -> String {
        let mut text = format!("\n[defaults]\ntarget = {}\n", toml_string(self.target));
        let optional = [
            ("path", self.needs.path),
            ("attestations", self.needs.attestations),
        ];
        for (key, value) in optional {
            if let Some(value) = value {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{key} = {}", toml_string(value));
            }
        }
        text + "schedule = \"17 */2 * * *\"      # every two hours, in `timezone`\n"
    }

    /// One entry for images with a tag, one for those without.
    fn mirrors(&self) -> Vec<String> {
        let (tagged, untagged): (Vec<&String>, Vec<&String>) =
            self.images.iter().partition(|image| has_tag(image));
        let list = |images: &[&String]| {
            let quoted: Vec<String> = images.iter().map(|image| toml_string(image)).collect();
            quoted.join(", ")
        };
        let mut entries = Vec::new();
        if !untagged.is_empty() {
            let from = list(&untagged);
            entries.push(format!(
                "\n[[mirror]]\nname   = \"images\"\nfrom   = [{from}]\ntags   = \"*\"\n\
                 latest = 5                     # the five highest versions\n"
            ));
        }
        if !tagged.is_empty() {
            let from = list(&tagged);
            entries.push(format!("\n[[mirror]]\nname = \"tags\"\nfrom = [{from}]\n"));
        }
        entries
    }
}

/// The registry of a target or of an image that names one.
pub(crate) fn host_of(name: &str) -> &str {
    name.split('/').next().unwrap_or(name)
}

/// The table of a registry; none if it has no keys. Registries on loopback speak no TLS.
fn table(host: &str, mut keys: String) -> String {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    if name == "localhost" || name.starts_with("127.") {
        keys += "plain_http = true\n";
    }
    match keys.is_empty() {
        true => keys,
        false => format!("\n[registries.{}]\n{keys}", toml_string(host)),
    }
}

/// Whether an image names a tag or a digest, as a port of a registry does not.
fn has_tag(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or(image);
    name.contains(':') || name.contains('@')
}

#[cfg(test)]
mod tests;
