//! Where reports and alarms go.
