//! Pulls through the gateway.

mod clients;
mod demand;
mod expiry;
mod mirrored;
mod outages;
mod pulled_through;
mod pulls;
mod refusals;
