//! Who sends a request: a user with a token, or anybody.

use std::net::IpAddr;

use axum::http::{StatusCode, header::AUTHORIZATION, request::Parts};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::Utc;

use crate::{
    config::{GatewayConfig, GatewayUsers},
    gateway::{
        Gateway,
        access::{
            challenge::{TokenFault, Visit, origin, unauthorized},
            users::LoginRefusal,
        },
        answer::{PullError, PullOutcome},
        demand::board::ClientRefusal,
        request::{
            address::{AddressForm, written_name},
            limits::ClientPermit,
        },
    },
};

/// Who may be told what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visitor {
    /// Anybody: public images only.
    Anonymous,
    /// Somebody who logged in.
    User,
}

/// What an `Authorization` header holds.
pub(crate) enum Authorization {
    None,
    Bearer(String),
    Basic(String, String),
    Other,
}

impl Authorization {
    /// Reads the header. It goes no further than this module.
    pub(crate) fn of(request: &Parts) -> Self {
        let Some(value) = request.headers.get(AUTHORIZATION) else {
            return Self::None;
        };
        let Some((scheme, rest)) = value.to_str().ok().and_then(|value| value.split_once(' '))
        else {
            return Self::Other;
        };
        if scheme.eq_ignore_ascii_case("bearer") {
            return Self::Bearer(rest.trim().to_owned());
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return Self::Other;
        }
        let decoded = STANDARD.decode(rest.trim()).ok();
        let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        match decoded.as_deref().and_then(|text| text.split_once(':')) {
            Some((name, password)) => Self::Basic(name.to_owned(), password.to_owned()),
            None => Self::Other,
        }
    }
}

impl GatewayUsers {
    /// Whether a client needs no login for public images.
    pub(crate) fn lets_in(&self, client: IpAddr) -> bool {
        let mut networks = self.anonymous.iter();
        networks.any(|network| network.contains(client))
    }
}

impl Gateway {
    /// Counts a request of a client; an error where it has too many.
    pub(crate) fn permit(
        &self,
        gateway: &GatewayConfig,
        client: IpAddr,
        form: AddressForm,
    ) -> Result<ClientPermit, PullError> {
        let permit = self.clients.admit(client, gateway.client_limits);
        permit.map_err(|limit| {
            self.refuse_client(ClientRefusal::Limit);
            PullError::over_limit(limit, form)
        })
    }

    /// Who sends a request of the API. Without `users` everybody is anonymous, and what they send to
    /// log in is dropped.
    pub(crate) async fn visitor(
        &self,
        gateway: &GatewayConfig,
        request: &Parts,
        (visit, client): (Visit, IpAddr),
    ) -> Result<Visitor, PullError> {
        let Some(users) = &gateway.users else {
            return Ok(Visitor::Anonymous);
        };
        let name = written_name(request.uri.path());
        let fail = |fault| {
            let origin = origin(request, visit, &gateway.trusted_proxies);
            Err(unauthorized(origin, name.as_deref(), fault))
        };
        match Authorization::of(request) {
            Authorization::None if name.is_some() && users.lets_in(client) => {
                Ok(Visitor::Anonymous)
            }
            Authorization::None => fail(TokenFault::Missing),
            Authorization::Other => fail(TokenFault::Invalid),
            Authorization::Bearer(token) => {
                let now = Utc::now().timestamp();
                let Some(claims) = self.tokens.open(&token, now) else {
                    return fail(TokenFault::Invalid);
                };
                let is_current = |user: &String| {
                    let mark = self.users.mark(&self.tokens, user);
                    mark.as_ref() == Some(&claims.password_mark)
                };
                let visitor = match &claims.user {
                    Some(user) if is_current(user) => Visitor::User,
                    None if users.lets_in(client) => Visitor::Anonymous,
                    _ => return fail(TokenFault::Invalid),
                };
                match name
                    .as_ref()
                    .is_none_or(|name| claims.repositories.contains(name))
                {
                    true => Ok(visitor),
                    false => fail(TokenFault::Scope),
                }
            }
            Authorization::Basic(user, password) => {
                match self
                    .users
                    .check(&self.tokens, client, (&user, &password))
                    .await
                {
                    Ok(()) => Ok(Visitor::User),
                    Err(LoginRefusal::TooMany) => Err(too_many()),
                    Err(LoginRefusal::Unknown | LoginRefusal::Wrong) => fail(TokenFault::Missing),
                }
            }
        }
    }

    /// The refusal of a private image: a login helps where there are users.
    pub(crate) fn refuse_private(
        &self,
        gateway: &GatewayConfig,
        request: &Parts,
        visit: Visit,
        text: String,
    ) -> PullError {
        if gateway.users.is_none() {
            let status = StatusCode::NOT_FOUND;
            return PullError::new(status, "NAME_UNKNOWN", text, PullOutcome::Refused);
        }
        let name = written_name(request.uri.path());
        let origin = origin(request, visit, &gateway.trusted_proxies);
        PullError {
            message: text,
            ..unauthorized(origin, name.as_deref(), TokenFault::Missing)
        }
    }
}

/// Too many passwords.
pub(crate) fn too_many() -> PullError {
    let text = "too many passwords were tried; wait a minute";
    let status = StatusCode::TOO_MANY_REQUESTS;
    PullError::new(status, "TOOMANYREQUESTS", text, PullOutcome::Limited)
}
