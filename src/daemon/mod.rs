//! Wires everything for `serve`: the schedule, reloads, the shutdown, the watchdog.

pub mod clockwork;
pub mod due;
mod timetable;
