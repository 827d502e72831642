//! Pulls through the gateway.

mod alarms;
mod check;
mod clients;
mod demand;
mod mirrored;
mod outages;
mod private;
mod pulled_through;
mod pulls;
mod refusals;
mod users;
