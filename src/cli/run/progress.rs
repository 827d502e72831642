//! Progress on a terminal: a bar a blob, and one for everything.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tracing_subscriber::fmt::MakeWriter;

use crate::{sync::Activity, telemetry::LogWriter};

/// Bars of blobs shown at a time.
const SHOWN: usize = 8;
/// Smaller blobs are gone before anybody could read their bar.
const WORTH_A_BAR: u64 = 1 << 20;

/// The bars. Dropping them clears them.
pub(crate) struct Bars {
    all: MultiProgress,
    total: ProgressBar,
}

impl Bars {
    pub(crate) fn new() -> Self {
        let all = MultiProgress::new();
        let total = all.add(ProgressBar::new(0));
        total.set_style(style("{bar:24} {pos}/{len} tags  {msg}  {elapsed}"));
        Self { all, total }
    }

    /// Log lines that do not tear the bars.
    pub(crate) fn log_writer(&self) -> LogWriter {
        LogWriter::new(AboveBars(self.all.clone()))
    }

    /// Draws what runs, as long as it is polled.
    pub(crate) async fn follow(&self, activity: &Activity) {
        let mut bars: BTreeMap<u64, ProgressBar> = BTreeMap::new();
        let mut tick = tokio::time::interval(Duration::from_millis(120));
        loop {
            tick.tick().await;
            let moving = activity.moving();
            bars.retain(|id, bar| {
                let is_moving = moving.contains_key(id);
                if !is_moving {
                    bar.finish_and_clear();
                }
                is_moving
            });
            let worth = moving
                .iter()
                .filter(|(_, blob)| blob.size_bytes >= WORTH_A_BAR);
            for (id, blob) in worth.take(SHOWN) {
                let bar = bars.entry(*id).or_insert_with(|| {
                    let bar = self.all.add(ProgressBar::new(blob.size_bytes));
                    bar.set_style(style(
                        "{bar:24} {bytes:>10}/{total_bytes:10} {bytes_per_sec:12} {msg}",
                    ));
                    bar.with_message(format!("{} -> {}", blob.digest.short(), blob.target))
                });
                bar.set_position(blob.sent_bytes());
            }
            let (planned, done) = activity.tags();
            self.total.set_length(planned);
            self.total.set_position(done);
            let under_way: u64 = moving.values().map(|blob| blob.sent_bytes()).sum();
            let sent = crate::cli::output::bytes(activity.bytes_moved() + under_way);
            self.total
                .set_message(format!("{sent} sent, {} in flight", moving.len()));
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.total.finish_and_clear();
        // Nothing can be done about a terminal that takes no text.
        let _ = self.all.clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Writes above the bars.
struct AboveBars(MultiProgress);

/// One log line on its way.
struct LogLine {
    bars: MultiProgress,
    text: Vec<u8>,
}

impl<'a> MakeWriter<'a> for AboveBars {
    type Writer = LogLine;

    fn make_writer(&'a self) -> LogLine {
        LogLine {
            bars: self.0.clone(),
            text: Vec::new(),
        }
    }
}

impl Write for LogLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let text = std::mem::take(&mut self.text);
        self.bars.suspend(|| io::stderr().write_all(&text))
    }
}

impl Drop for LogLine {
    fn drop(&mut self) {
        let _ = self.flush();
    }
}
