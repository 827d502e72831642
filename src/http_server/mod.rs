//! Metrics, health, the status page and the API.
