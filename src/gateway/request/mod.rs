//! What a client asks for, and whether it may. Pure: a request and the configuration decide.

pub(crate) mod address;
pub(crate) mod limits;
pub(crate) mod policy;
pub(crate) mod range;
