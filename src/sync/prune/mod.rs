//! Prune: which tags of a target nobody mirrors any more, and what becomes of them.

pub(crate) mod decide;
pub(crate) mod delete;
pub(crate) mod order_change;
pub(crate) mod run;
