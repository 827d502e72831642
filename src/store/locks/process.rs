//! Which process began a run, distinct from every other that ever ran on this machine.

use std::{fs, process};

/// This process; `None` where the system does not tell.
pub(crate) fn own() -> Option<String> {
    name(&process::id().to_string())
}

/// Whether the process of this name lives. One of another machine, or of a container that is not
/// looked into, does not, as far as can be seen from here.
pub(crate) fn lives(written: &str) -> bool {
    let id = written.split(' ').nth(1);
    id.is_some_and(|id| name(id).as_deref() == Some(written))
}

/// A process by the boot of its machine, its id, and when it started: ids are used again
/// ([proc(5)](https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html): field 3 is the state,
/// field 22 the start).
fn name(id: &str) -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name of the command may hold anything; it ends with the last parenthesis.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let is_dead = matches!(fields.next()?, "Z" | "X");
    let start = fields.nth(18)?;
    (!is_dead).then(|| format!("{} {id} {start}", boot.trim()))
}

#[cfg(test)]
mod tests;
