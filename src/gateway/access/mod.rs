//! Who pulls: users, their tokens, and which images need a user.

pub(crate) mod challenge;
pub(crate) mod endpoint;
pub(crate) mod token;
pub(crate) mod users;
pub(crate) mod visibility;
pub(crate) mod visitor;
