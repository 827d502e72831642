//! Asks docker's credential helpers for logins: `docker-credential-NAME get`, the server on standard input.

use std::{
    ffi::OsStr,
    io::{self, Read as _, Write as _},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde::Deserialize;

use crate::settings::Credential;

/// How long a helper may take: some ask a cloud's API, and none should wait for a human.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Most bytes of an answer.
const ANSWER_LIMIT: u64 = 256 << 10;
/// How often a helper that has closed its output is looked at.
const POLL: Duration = Duration::from_millis(10);
/// What the protocol's own library prints where there is no login
/// ([docker-credential-helpers](https://github.com/docker/docker-credential-helpers)).
const NOT_FOUND: &str = "credentials not found in native keychain";
/// The user name that stands before an identity token.
const TOKEN_USER: &str = "<token>";

/// Why a helper returned no login. Its output may hold secrets and is not quoted.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It is not in `$PATH`.
    NotInstalled,
    /// It has no login for the server.
    NoLogin,
    /// It cannot be used.
    Broken(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    #[serde(default)]
    username: String,
    #[serde(default)]
    secret: String,
}

/// Asks a program for the login of a server. Never takes much longer than `patience`: a program
/// that does is killed.
pub(crate) fn get(
    program: &OsStr,
    server: &str,
    patience: Duration,
) -> Result<Credential, Failure> {
    let deadline = Instant::now() + patience;
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Failure::NotInstalled,
            _ => Failure::Broken(format!("cannot be run: {error}")),
        })?;
    let finished = converse(&mut child, server, deadline);
    if !matches!(finished, Ok(Some(_))) {
        // It may have ended in the meantime, which is as good.
        let _ = child.kill();
        let _ = child.wait();
    }
    match finished {
        Ok(Some((status, output))) => read(status, &output),
        Ok(None) => {
            let waited = humantime::format_duration(patience);
            Err(Failure::Broken(format!(
                "gave no answer in {waited} and was stopped"
            )))
        }
        Err(error) => Err(Failure::Broken(format!("cannot be talked to: {error}"))),
    }
}

/// Everything that a program printed, and how it ended; nothing when it did not end in time.
fn converse(
    child: &mut Child,
    server: &str,
    deadline: Instant,
) -> io::Result<Option<(ExitStatus, Vec<u8>)>> {
    if let Some(mut input) = child.stdin.take() {
        // The few bytes fit into the pipe. A helper that does not read them may answer all the same.
        let _ = input.write_all(server.as_bytes());
    }
    let (sender, receiver) = mpsc::channel();
    if let Some(output) = child.stdout.take() {
        // A process that the helper left behind can hold the pipe open for ever: nobody waits for
        // this thread.
        thread::Builder::new()
            .name("credential helper".into())
            .spawn(move || {
                let mut read = Vec::new();
                let result = output.take(ANSWER_LIMIT).read_to_end(&mut read);
                let _ = sender.send(result.map(|_| read));
            })?;
    }
    let left = || deadline.saturating_duration_since(Instant::now());
    let Ok(output) = receiver.recv_timeout(left()) else {
        return Ok(None);
    };
    let output = output?;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some((status, output)));
        }
        if left().is_zero() {
            return Ok(None);
        }
        thread::sleep(POLL.min(left()));
    }
}

fn read(status: ExitStatus, output: &[u8]) -> Result<Credential, Failure> {
    if !status.success() {
        let says_so = String::from_utf8_lossy(output).contains(NOT_FOUND);
        return Err(match says_so {
            true => Failure::NoLogin,
            false => Failure::Broken(format!("failed with {status}")),
        });
    }
    let answer: HelperAnswer = serde_json::from_slice(output).map_err(|_| {
        Failure::Broken("answered something else than JSON with Username and Secret".into())
    })?;
    match (answer.username.as_str(), answer.secret) {
        (_, secret) if secret.is_empty() => Err(Failure::NoLogin),
        (TOKEN_USER, secret) => Ok(Credential::IdentityToken(secret.into())),
        (_, secret) => Ok(Credential::Basic {
            username: answer.username,
            password: secret.into(),
        }),
    }
}

#[cfg(test)]
mod tests;
