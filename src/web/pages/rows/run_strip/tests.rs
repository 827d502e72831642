use crate::web::pages::rows::run_strip::*;

fn run(result: RunState, copied: i64, failed: i64) -> RunMark {
    RunMark {
        started_at: 1_800_000_000,
        finished_at: (result != RunState::Unfinished).then_some(1_800_000_060),
        result,
        copied,
        failed,
    }
}

#[test]
fn every_kind_of_run_has_a_shape_of_its_own() {
    let runs = [
        run(RunState::Ended(RunResult::Ok), 0, 0),
        run(RunState::Ended(RunResult::Ok), 3, 0),
        run(RunState::Ended(RunResult::Partial), 3, 1),
        run(RunState::Ended(RunResult::Failed), 0, 4),
        run(RunState::Unfinished, 0, 0),
    ];
    let strip = RunStrip::new(&runs, Language::English, Tz::UTC);
    let kinds: Vec<&str> = strip.marks.iter().map(|mark| mark.kind).collect();
    let shapes = shapes(Language::English.words());
    assert!(shapes.iter().map(|shape| shape.kind).eq(kinds));
    let mut outlines: Vec<&str> = shapes.iter().map(|shape| shape.outline).collect();
    outlines.sort_unstable();
    outlines.dedup();
    assert_eq!(outlines.len(), runs.len());
    assert_eq!((strip.width, strip.marks[4].x), (30, 24));
}

#[test]
fn the_title_of_a_mark_tells_the_run() {
    let title = |run: RunMark, language| {
        let strip = RunStrip::new(&[run], language, Tz::Asia__Shanghai);
        strip.marks[0].title.clone()
    };
    assert_eq!(
        title(
            run(RunState::Ended(RunResult::Partial), 3, 1),
            Language::English
        ),
        "2027-01-15 16:00:00: partly failed, 3 copied, 1 failed"
    );
    assert_eq!(
        title(
            run(RunState::Ended(RunResult::Partial), 3, 1),
            Language::Chinese
        ),
        "2027-01-15 16:00:00: 部分失败，复制 3，失败 1"
    );
    assert_eq!(
        title(run(RunState::Unfinished, 0, 0), Language::English),
        "2027-01-15 16:00:00: running"
    );
}
