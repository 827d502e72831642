//! Whether a run has compared all of its source: that is known before the last image is copied.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::{
    coordination::Lease,
    store::{StoreEvent, StoreWriter},
};

/// What the routes of one run have compared so far.
#[derive(Debug)]
pub(crate) struct SourceComparison<'a> {
    recorder: &'a StoreWriter,
    run: Option<i64>,
    lease: &'a Lease,
    left: AtomicUsize,
    is_whole: AtomicBool,
}

impl<'a> SourceComparison<'a> {
    /// The check of a run of so many routes.
    pub(crate) fn new(
        (recorder, run): (&'a StoreWriter, Option<i64>),
        lease: &'a Lease,
        routes: usize,
    ) -> Self {
        Self {
            recorder,
            run,
            lease,
            left: AtomicUsize::new(routes),
            is_whole: AtomicBool::new(true),
        }
    }

    /// Waits for so many routes more.
    pub(crate) fn expect(&self, routes: usize) {
        self.left.fetch_add(routes, Ordering::AcqRel);
    }

    /// Takes note of a route that was looked at, and writes down that the source was compared if
    /// it was the last one, and all of each could be.
    pub(crate) async fn looked(&self, is_whole: bool) {
        self.is_whole.fetch_and(is_whole, Ordering::AcqRel);
        let is_last = self.left.fetch_sub(1, Ordering::AcqRel) == 1;
        if !is_last || !self.is_whole.load(Ordering::Acquire) {
            return;
        }
        if let Some(run) = self.run {
            self.recorder.record(StoreEvent::Checked(run)).await;
        }
        self.lease.note_compared();
    }
}
