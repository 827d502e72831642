//! One file a kind of channel.

pub(crate) mod dingtalk;
pub(crate) mod email;
pub(crate) mod feishu;
pub(crate) mod healthchecks;
pub(crate) mod slack;
pub(crate) mod telegram;
pub(crate) mod webhook;
pub(crate) mod wecom;
