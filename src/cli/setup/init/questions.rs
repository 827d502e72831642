//! Asks on a terminal. Passwords are not shown.

use std::io::{self, BufRead as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

/// Asks a question; the answer has no spaces around it, and is empty if there is none.
pub(crate) fn ask(question: &str) -> io::Result<String> {
    eprint!("{question}");
    io::stderr().flush()?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

/// The same, while the terminal shows nothing of what is typed.
pub(crate) fn ask_hidden(question: &str) -> io::Result<String> {
    let before = tcgetattr(io::stdin())?;
    let mut hidden = before.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
    let answer = ask(question);
    let restored = tcsetattr(io::stdin(), OptionalActions::Flush, &before);
    eprintln!();
    restored?;
    answer
}
