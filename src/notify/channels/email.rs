//! Mail: one letter with the document as text and as HTML.

use std::time::Duration;

use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{
        MultiPart,
        header::{HeaderName, HeaderValue},
    },
    transport::smtp::{self, authentication::Credentials, client::Tls, client::TlsParameters},
};
use secrecy::ExposeSecret as _;
use tokio::time::Instant;

use crate::{
    config::{Email, Security},
    notify::{Error, chat, http::Patience},
    status::Document,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const STYLE: &str = "body{font-family:sans-serif}table{border-collapse:collapse}\
                     th,td{border:1px solid #ccc;padding:.2em .6em;text-align:left}";

/// Sends a document.
pub(crate) async fn send(
    email: &Email,
    document: &Document,
    patience: Patience,
    deadline: Instant,
) -> Result<(), Error> {
    let message = compose(email, document)?;
    let transport = transport(email)?;
    let attempt = || async {
        let sent = transport.send(message.clone()).await;
        sent.map(drop).map_err(|error| judge(&error))
    };
    patience.persist(deadline, attempt).await
}

fn compose(email: &Email, document: &Document) -> Result<Message, Error> {
    let mut builder = Message::builder()
        .from(email.from.clone())
        .subject(chat::subject(document))
        // A message that is tried twice and arrives twice is known to be one.
        .message_id(None)
        .date_now();
    for to in &email.to {
        builder = builder.to(to.clone());
    }
    if let Ok(name) = HeaderName::new_from_ascii("Auto-Submitted".to_owned()) {
        // Out-of-office replies are not sent to machines (RFC 3834).
        builder = builder.raw_header(HeaderValue::new(name, "auto-generated".to_owned()));
    }
    let html = format!(
        "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><style>{STYLE}</style></head>\n\
         <body>\n{}</body></html>\n",
        document.to_html()
    );
    let parts = MultiPart::alternative_plain_html(document.to_text(), html);
    let message = builder.multipart(parts);
    message.map_err(|error| Error::Unusable(error.to_string()))
}

fn transport(email: &Email) -> Result<AsyncSmtpTransport<Tokio1Executor>, Error> {
    let relay = &email.relay;
    let tls = || {
        let parameters = TlsParameters::new(relay.host.clone());
        parameters.map_err(|error| Error::Unusable(error.to_string()))
    };
    let tls = match relay.security {
        Security::Tls => Tls::Wrapper(tls()?),
        Security::StartTls => Tls::Required(tls()?),
        Security::Loopback => Tls::None,
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&relay.host)
        .port(relay.port)
        .tls(tls)
        .timeout(Some(CONNECT_TIMEOUT));
    if let Some((username, password)) = &email.login {
        let password = password.expose_secret().to_owned();
        builder = builder.credentials(Credentials::new(username.clone(), password));
    }
    Ok(builder.build())
}

fn judge(error: &smtp::Error) -> Error {
    // lettre repeats this prefix before the reason.
    let said = transship_text::one_line(&error.to_string()).replace("Connection error: ", "");
    if error.is_transient() {
        return Error::Failed(said);
    }
    if error.is_permanent() {
        let code = error.status().map(|code| code.to_string());
        let remedy = match code.as_deref() {
            Some("530" | "534" | "535" | "538") => "check `username` and `password`",
            Some("550" | "551" | "553" | "554") => {
                "check `from` and `to`, and whom the server takes mail from"
            }
            _ => "ask the administrator of the mail server",
        };
        return Error::Refused { said, remedy };
    }
    if error.is_tls() || said.contains("certificate") {
        let remedy = "check that its certificate is for the host in `url`, and trusted here";
        return Error::Refused { said, remedy };
    }
    if error.is_client() {
        let remedy = "use \"smtps://host:465\" where the server knows no STARTTLS, and a login \
                      by PLAIN or LOGIN";
        return Error::Refused { said, remedy };
    }
    if error.is_response() {
        return Error::Strange(said);
    }
    Error::Unreachable(said)
}
