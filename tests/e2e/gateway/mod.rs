//! Pulls through the gateway.

mod check;
mod clients;
mod demand;
mod expiry;
mod mirrored;
mod outages;
mod private;
mod pulled_through;
mod pulls;
mod refusals;
mod users;
