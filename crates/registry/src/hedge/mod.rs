//! Hedged requests: what stands still while the line moves gets a second connection.
//!
//! A connection that died in silence looks like a slow one. So a wait is compared with the longest
//! pause that living connections to the registry showed lately, and only time counts in which
//! something else moved: if everything stands still, the line is the cause, and one probe at a time
//! is sent. Hedged requests are described in
//! [The Tail at Scale](https://research.google/pubs/the-tail-at-scale/).

pub(crate) mod hedge_budget;
pub(crate) mod line_clock;
pub(crate) mod pause_tracker;
pub(crate) mod race;

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    Kind,
    hedge::{hedge_budget::HedgeBudget, line_clock::LineClock, pause_tracker::PauseTracker},
};

/// A wait is suspicious from this multiple of the longest pause of living connections on.
const FACTOR: u32 = 3;
/// And not before it lasted so long.
const FLOOR: Duration = Duration::from_secs(2);
/// How often a wait is looked at.
const TICK: Duration = Duration::from_millis(250);
/// Probes of a line that stands still, within one `stall`.
const PROBES: u32 = 4;
/// Sizes, in bytes, up to which a stored blob is compared with its like: a socket's buffer takes a
/// blob at once, so that the wait for the answer includes the time that its bytes are on the way.
const SIZE_CLASSES: [u64; 3] = [64 << 10, 1 << 20, 4 << 20];

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitKind {
    /// The head of the response to a small request.
    Answer,
    /// The next bytes of a body.
    Received,
    /// That the connection accepts the next bytes.
    Sent,
    /// The response to an upload of so many bytes.
    Stored(u64),
}

/// What is known of the line to one registry.
#[derive(Debug)]
pub(crate) struct LineMonitor {
    stall: Duration,
    state: Mutex<LineState>,
}

#[derive(Debug, Default)]
struct LineState {
    clock: LineClock,
    answers: PauseTracker,
    received: PauseTracker,
    sent: PauseTracker,
    stored: [PauseTracker; SIZE_CLASSES.len() + 1],
    budget: HedgeBudget,
    /// When a line that stands still may be probed again.
    next_probe: Option<Instant>,
}

/// What a wait that takes long is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// Other connections moved: this one is dead, as far as anybody can see.
    Dead,
    /// Nothing moved. A probe shows whether it is the connection or the line.
    Unknown,
    /// It lasted `stall`.
    Stalled(Duration),
}

/// A wait that is compared with the pauses of other connections.
#[derive(Debug)]
pub(crate) struct SilenceWatch<'a> {
    line: &'a LineMonitor,
    kind: WaitKind,
    /// Added to every limit: the other side needs so long.
    extra: Duration,
    /// The limit is multiplied by this. Without one, only `stall` ends the wait.
    patience: Option<u32>,
    began: Instant,
    began_moving: Duration,
}

impl LineMonitor {
    /// Waits end after `stall` at the latest.
    pub(crate) fn new(stall: Duration) -> Self {
        Self {
            stall,
            state: Mutex::default(),
        }
    }

    /// The maximum duration of a wait.
    pub(crate) fn stall(&self) -> Duration {
        self.stall
    }

    /// Counts a request.
    pub(crate) fn on_request(&self) {
        self.state.lock().budget.on_request();
    }

    /// A wait ended with what was waited for: the line moves.
    pub(crate) fn on_movement(&self, kind: WaitKind, pause: Duration) {
        let mut state = self.state.lock();
        state.clock.on_movement(Instant::now());
        state.next_probe = None;
        let at = state.clock.now();
        state.tracker(kind).record(pause, at);
    }

    /// Begins to watch a wait.
    pub(crate) fn watch(&self, kind: WaitKind) -> SilenceWatch<'_> {
        SilenceWatch {
            line: self,
            kind,
            extra: Duration::ZERO,
            patience: Some(1),
            began: Instant::now(),
            began_moving: self.state.lock().clock.now(),
        }
    }
}

impl LineState {
    fn tracker(&mut self, kind: WaitKind) -> &mut PauseTracker {
        match kind {
            WaitKind::Answer => &mut self.answers,
            WaitKind::Received => &mut self.received,
            WaitKind::Sent => &mut self.sent,
            WaitKind::Stored(bytes) => &mut self.stored[size_class(bytes)],
        }
    }

    /// From when on a wait is suspicious; `None` while too little is known.
    fn limit(&self, kind: WaitKind) -> Option<Duration> {
        let longest = match kind {
            WaitKind::Answer => self.answers.longest(),
            WaitKind::Received => self.received.longest(),
            WaitKind::Sent => self.sent.longest(),
            // Larger blobs take longer, so that their pauses serve for smaller ones, too.
            WaitKind::Stored(bytes) => self.stored[size_class(bytes)..]
                .iter()
                .find_map(PauseTracker::longest),
        };
        longest.map(|longest| (longest * FACTOR).max(FLOOR))
    }
}

fn size_class(bytes: u64) -> usize {
    let class = SIZE_CLASSES.iter().position(|most| bytes <= *most);
    class.unwrap_or(SIZE_CLASSES.len())
}

impl SilenceWatch<'_> {
    /// The same with a limit that is so many times longer. Without one, it ends after `stall`.
    pub(crate) fn with_patience(self, patience: Option<u32>) -> Self {
        Self { patience, ..self }
    }

    /// The same with limits that are longer by so much.
    pub(crate) fn longer_by(self, extra: Duration) -> Self {
        Self { extra, ..self }
    }

    /// The maximum duration of the wait.
    pub(crate) fn most(&self) -> Duration {
        self.line.stall + self.extra
    }

    /// The failure of a connection that is given up now.
    pub(crate) fn given_up(&self) -> Kind {
        let milliseconds = u64::try_from(self.lasted().as_millis()).unwrap_or(u64::MAX);
        Kind::Stalled(Duration::from_millis(milliseconds))
    }

    /// How long the wait lasts.
    pub(crate) fn lasted(&self) -> Duration {
        self.began.elapsed()
    }

    /// Ends when the wait is suspicious, or lasted as long as it may.
    pub(crate) async fn silence(&self) -> Silence {
        sleep(FLOOR.min(self.most())).await;
        loop {
            if let Some(silence) = self.judge() {
                return silence;
            }
            sleep(TICK.min(self.most().saturating_sub(self.lasted()))).await;
        }
    }

    /// Ends when the wait lasted as long as it may.
    pub(crate) async fn stall(&self) {
        sleep_until(self.began + self.most()).await;
    }

    /// What the wait is taken for now; `None` while it is no longer than others. A suspicion is one
    /// hedge, which is spent.
    pub(crate) fn judge(&self) -> Option<Silence> {
        let (lasted, most) = (self.lasted(), self.most());
        if lasted >= most {
            return Some(Silence::Stalled(most));
        }
        let mut state = self.line.state.lock();
        let limit = state.limit(self.kind)? * self.patience? + self.extra;
        if lasted < limit {
            return None;
        }
        if state.clock.now().saturating_sub(self.began_moving) >= limit {
            return state.budget.spend().then_some(Silence::Dead);
        }
        let now = Instant::now();
        let may_probe = state.next_probe.is_none_or(|next| now >= next);
        if !state.clock.stands_still(now) || !may_probe || !state.budget.spend() {
            return None;
        }
        state.next_probe = Some(now + self.line.stall / PROBES);
        Some(Silence::Unknown)
    }
}

#[cfg(test)]
mod tests;
