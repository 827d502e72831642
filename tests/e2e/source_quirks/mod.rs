//! Registries as they are read: logins, lists, manifests, blobs, limits.

pub mod absent;
pub mod auth_server;
pub mod blobs;
pub mod credential_helpers;
pub mod credentials;
pub mod faults;
pub mod lists;
pub mod logins;
pub mod manifests;
pub mod network;
pub mod paging;
