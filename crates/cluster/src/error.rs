//! Why the cluster's database cannot be used, and what to do about it.

use std::{borrow::Cow, io};

use transship_text::one_line;

const CHECK_URL: &str =
    "write it as postgres://user:password@host:5432/database?sslmode=verify-full";
const START_SERVER: &str =
    "start PostgreSQL, and check host and port of the URL and the firewall between";
const CHECK_NAME: &str = "check the host in the URL, and the DNS of this machine";
const CHECK_PASSWORD: &str = "check user and password of the URL, and pg_hba.conf of the server";
const CREATE_DATABASE: &str = "create it with `createdb`, or name another in the URL";
const TURN_TLS_ON: &str = "turn `ssl` on in postgresql.conf; on a network that nobody else can read, add \
     `?sslmode=disable` to the URL instead";
const TRUST_CA: &str =
    "add `?sslrootcert=/path/to/ca.pem` to the URL, and use the host name of the certificate";
const RETRY: &str = "the next attempt follows by itself; if this lasts, see the log of PostgreSQL";
const GRANT: &str = "let an administrator run `CREATE SCHEMA transship AUTHORIZATION user` with the user of the URL, or \
     `ALTER SCHEMA transship OWNER TO user` where there is one";
const USE_OTHER_DATABASE: &str =
    "name a database of transship's own in the URL; nothing was changed in this one";
const UPGRADE_THIS: &str = "install the newer version on this worker, too";
const SEE_LOG: &str = "see the log of PostgreSQL; if its disk is full, free space there";
const REGISTER_AGAIN: &str = "this worker registers again by itself; if this repeats, check the load of this \
     machine and its link to the database";
const TAKEN_OVER: &str = "another worker runs it now; nothing has to be done";

/// Why the cluster's database cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The URL names no database. It holds a password and is not shown.
    #[error("the URL of the cluster's database is not valid: {reason}\n  help: {CHECK_URL}")]
    Settings {
        /// What is wrong with it.
        reason: String,
    },
    /// The database cannot be reached, or refuses this user.
    #[error("cannot connect to the cluster's database {server}: {reason}\n  help: {help}")]
    Connect {
        /// Host, port and database.
        server: String,
        /// What the system or the server reports.
        reason: String,
        /// What to do.
        help: &'static str,
        /// Whether the same attempt may succeed later.
        is_transient: bool,
    },
    /// A newer version of transship has changed the schema.
    #[error(
        "a newer version of transship wrote the cluster's database {server}: its schema is {found}, \
         this version knows {known}\n  help: {UPGRADE_THIS}"
    )]
    NewerSchema {
        /// Host, port and database.
        server: String,
        /// The version of the schema.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// The schema `transship` has tables of another program.
    #[error(
        "the schema `transship` of the database {server} belongs to another program\n  help: {USE_OTHER_DATABASE}"
    )]
    ForeignSchema {
        /// Host, port and database.
        server: String,
    },
    /// The connection was lost, or nothing was answered in time. The same call may succeed later.
    /// What it wrote may have been committed.
    #[error("{operation}: the cluster's database {server} is away: {reason}\n  help: {RETRY}")]
    Unavailable {
        /// What was to be done.
        operation: &'static str,
        /// Host, port and database.
        server: String,
        /// What the system or the server reports.
        reason: String,
    },
    /// The database refuses a statement.
    #[error("{operation}: the cluster's database {server} refuses: {reason}\n  help: {help}")]
    Rejected {
        /// What was to be done.
        operation: &'static str,
        /// Host, port and database.
        server: String,
        /// What the server reports.
        reason: String,
        /// What to do.
        help: &'static str,
    },
    /// A worker did not renew its lease in time: all that it held may be another's by now.
    #[error("the lease of worker {name} has expired\n  help: {REGISTER_AGAIN}")]
    LeaseLost {
        /// Its name.
        name: String,
    },
    /// A claim is over: the unit is another's, or was removed from the configuration.
    #[error("the claim of {unit} is over\n  help: {TAKEN_OVER}")]
    FenceLost {
        /// The key of the unit.
        unit: String,
    },
}

impl Error {
    /// What to do about it.
    pub fn remedy(&self) -> Cow<'_, str> {
        match self {
            Self::Settings { .. } => CHECK_URL.into(),
            Self::Connect { help, .. } | Self::Rejected { help, .. } => (*help).into(),
            Self::NewerSchema { .. } => UPGRADE_THIS.into(),
            Self::ForeignSchema { .. } => USE_OTHER_DATABASE.into(),
            Self::Unavailable { .. } => RETRY.into(),
            Self::LeaseLost { .. } => REGISTER_AGAIN.into(),
            Self::FenceLost { .. } => TAKEN_OVER.into(),
        }
    }

    /// Whether the same call may succeed later, with nothing changed.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect { is_transient, .. } => *is_transient,
            Self::Unavailable { .. } => true,
            _ => false,
        }
    }

    /// The failure of the first connection.
    pub(crate) fn of_connect(server: &str, error: &sqlx::Error) -> Self {
        if let sqlx::Error::Configuration(cause) = error {
            let reason = one_line(&cause.to_string());
            return Self::Settings { reason };
        }
        let (help, is_transient) = connect_help(error);
        Self::Connect {
            server: server.into(),
            reason: reason(error),
            help,
            is_transient,
        }
    }

    /// The failure of a statement.
    pub(crate) fn of_use(operation: &'static str, server: &str, error: &sqlx::Error) -> Self {
        let (server, reason) = (server.to_owned(), reason(error));
        let code = code(error);
        match is_away(error) {
            true => Self::Unavailable {
                operation,
                server,
                reason,
            },
            false => Self::Rejected {
                operation,
                server,
                reason,
                help: if code == INSUFFICIENT_PRIVILEGE {
                    GRANT
                } else {
                    SEE_LOG
                },
            },
        }
    }

    /// No answer within a time.
    pub(crate) fn of_timeout(operation: &'static str, server: &str, seconds: u64) -> Self {
        Self::Unavailable {
            operation,
            server: server.into(),
            reason: format!("no answer within {seconds} seconds"),
        }
    }
}

/// <https://www.postgresql.org/docs/15/errcodes-appendix.html>
const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// The SQLSTATE of an error. Empty if it is not the database's.
fn code(error: &sqlx::Error) -> String {
    let code = error.as_database_error().and_then(|error| error.code());
    code.unwrap_or_default().into_owned()
}

/// Whether a connection is broken, or a server may soon answer otherwise.
pub(crate) fn is_away(error: &sqlx::Error) -> bool {
    let code = code(error);
    match error {
        sqlx::Error::Database(_) => {
            // Connections that break, servers that stop or start, statements that are cancelled.
            let is_of_class = ["08", "57", "58"]
                .iter()
                .any(|class| code.starts_with(class));
            // Serialization failure, deadlock, lock not available, a standby, too many connections.
            is_of_class || ["40001", "40P01", "55P03", "25006", "53300"].contains(&code.as_str())
        }
        sqlx::Error::Io(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::BeginFailed
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}

fn connect_help(error: &sqlx::Error) -> (&'static str, bool) {
    match error {
        sqlx::Error::Database(_) => match code(error).as_str() {
            "28P01" | "28000" => (CHECK_PASSWORD, false),
            "3D000" => (CREATE_DATABASE, false),
            INSUFFICIENT_PRIVILEGE => (GRANT, false),
            _ => (SEE_LOG, is_away(error)),
        },
        sqlx::Error::Tls(cause) if cause.to_string().contains("not support TLS") => {
            (TURN_TLS_ON, false)
        }
        sqlx::Error::Tls(_) => (TRUST_CA, false),
        // rustls reports what it thinks of a certificate this way.
        sqlx::Error::Io(cause) if cause.kind() == io::ErrorKind::InvalidData => (TRUST_CA, false),
        sqlx::Error::Io(cause) if is_unknown_name(cause) => (CHECK_NAME, true),
        sqlx::Error::Protocol(_) => (START_SERVER, false),
        _ => (START_SERVER, true),
    }
}

/// The resolver has no kind of error of its own.
fn is_unknown_name(error: &io::Error) -> bool {
    error.raw_os_error().is_none() && error.to_string().contains("lookup")
}

fn reason(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(cause) => one_line(cause.message()),
        sqlx::Error::Io(cause) => one_line(&cause.to_string()),
        sqlx::Error::Tls(cause) => one_line(&cause.to_string()),
        sqlx::Error::Protocol(cause) => one_line(cause),
        sqlx::Error::PoolTimedOut => "no connection to it could be opened in time".into(),
        other => one_line(&other.to_string()),
    }
}

#[cfg(test)]
mod tests;
