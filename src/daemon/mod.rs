//! Wires everything for `serve`: the schedule, reloads, the shutdown, the watchdog.
