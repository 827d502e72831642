//! The server itself: how it is opened, and when it goes away, fails over or is behind a pooler.

mod failover;
mod opening;
mod outage;
mod pooler;
