//! How every mirror stands and what a day brought: one model, and its renderings.
