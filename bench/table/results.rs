//! `RESULTS.md`: the newest of each section, and at its head how transship compares.

use super::report::ReportSection;

const INTRODUCTION: &str = "\
# Measured

Each section is a run of its own; `bench/run --write SECTION` replaces it. Seconds depend on what else the machine did: each section
names the load before it. Counts and bytes do not.
";

const SUMMARY: &str = "Ratios";

const SUMMARY_WORDS: &str = "\
The ratio is the seconds of the best other tool that brought every tag, divided by transship's. × link is transship's seconds,
divided by what the new bytes need at the link's full rate.

| section | case | transship, s | best other tool | its seconds | ratio | × link |
| --- | --- | --: | --- | --: | --: | --: |
";

/// The results with new sections: each replaces the one of its title, or comes last.
pub fn merged(before: &str, new: &[ReportSection], machine: &str) -> String {
    let mut sections = parse(before);
    sections.retain(|section| section.title != SUMMARY);
    for section in new {
        let mut known = sections.iter_mut();
        match known.find(|known| known.title == section.title) {
            Some(known) => known.clone_from(section),
            None => sections.push(section.clone()),
        }
    }
    let summary = ReportSection {
        title: SUMMARY.to_owned(),
        text: summary(&sections),
    };
    let mut text = format!("{INTRODUCTION}\n{machine}\n");
    for ReportSection { title, text: body } in std::iter::once(&summary).chain(&sections) {
        text.push_str(&format!("\n## {title}\n\n{}\n", body.trim()));
    }
    text
}

fn parse(text: &str) -> Vec<ReportSection> {
    let section = |part: &str| {
        let (title, text) = part.split_once('\n')?;
        Some(ReportSection {
            title: title.trim().to_owned(),
            text: text.to_owned(),
        })
    };
    // What stands before the first title is replaced.
    text.split("\n## ").skip(1).filter_map(section).collect()
}

/// A measured row, as far as the summary needs it.
struct Measured<'a> {
    case: &'a str,
    tool: &'a str,
    seconds: f64,
    times_link: &'a str,
    is_whole: bool,
}

/// Reads a row of the usual table.
fn measured(line: &str) -> Option<Measured<'_>> {
    let cells = line.trim().trim_matches('|').split('|').map(str::trim);
    let cells: Vec<&str> = cells.collect();
    let &[case, tool, seconds, times_link, .., tags] = cells.as_slice() else {
        return None;
    };
    Some(Measured {
        case,
        tool,
        // A run that failed or was stopped has a word behind its number.
        seconds: seconds.parse().ok()?,
        times_link,
        is_whole: tags.starts_with("all "),
    })
}

fn summary(sections: &[ReportSection]) -> String {
    let mut text = SUMMARY_WORDS.to_owned();
    for section in sections {
        let rows: Vec<_> = section.text.lines().filter_map(measured).collect();
        for row in rows.iter().filter(|row| row.tool == "transship") {
            let others = rows.iter().filter(|other| other.tool != row.tool);
            let best = others
                .filter(|other| other.case == row.case && other.is_whole)
                .min_by(|a, b| a.seconds.total_cmp(&b.seconds));
            if best.is_none() && row.times_link == "-" {
                continue;
            }
            let best = best.map_or_else(
                || "- | - | -".to_owned(),
                |best| {
                    let ratio = best.seconds / row.seconds;
                    format!("{} | {:.2} | {ratio:.1}", best.tool, best.seconds)
                },
            );
            let Measured {
                case,
                seconds,
                times_link,
                ..
            } = row;
            let title = &section.title;
            text.push_str(&format!(
                "| {title} | {case} | {seconds:.2} | {best} | {times_link} |\n"
            ));
        }
    }
    text
}
