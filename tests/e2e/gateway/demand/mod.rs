//! What was pulled is mirrored, as long as somebody pulls it.

mod completed;
mod expiry;
mod month;
