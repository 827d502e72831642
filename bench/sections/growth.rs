//! How the work grows: with the number of tags, and with the number of mirrors in a daemon.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::options::Options;
use crate::process::{self, End, Usage};
use crate::stage::synthetic::Synthetic;
use crate::table::report::Report;
use crate::tools::Tool;

const MIB: f64 = 1_048_576.0;
const TAGS_EACH: usize = 200;

const WORDS: &str = "Both registries are in the memory of the benchmark, over plain HTTP: a real one cannot be filled \
     with 100,000 tags in reasonable time. Images are one config of 200 bytes. Time, requests and bytes are those of \
     transship alone.";
const HEAD: &str = "\
| tags | case | seconds | CPU s | ms CPU a tag | peak MiB | requests to source | requests to target | database MiB | tags right |
| --: | --- | --: | --: | --: | --: | --: | --: | --: | --: |
";
const DAEMON_HEAD: &str = "\
| mirrors | tags each | every | measured, s | runs | CPU s | CPU s an hour at this rate | CPU s an hour if hourly | peak MiB |
| --: | --: | --: | --: | --: | --: | --: | --: | --: |
";

/// Two registries and a folder for transship between them.
struct GrowthStage {
    source: Synthetic,
    target: Synthetic,
    folder: TempDir,
    tags: usize,
}

impl GrowthStage {
    /// So many tags in repositories of so many each.
    fn with(repositories: usize, each: usize, toml: impl Fn(&str) -> String) -> Self {
        let stage = Self {
            source: Synthetic::start(),
            target: Synthetic::start(),
            folder: TempDir::new().unwrap(),
            tags: repositories * each,
        };
        for repository in 0..repositories {
            for tag in 0..each {
                let name = format!("bench/app{repository:03}");
                stage.source.put_image(&name, &format!("v1.{tag}.0"), 0);
            }
        }
        let (source, target) = (stage.source.host(), stage.target.host());
        let head = format!(
            "[http]\nlisten = \"127.0.0.1:0\"\n[registries.\"{source}\"]\nplain_http = true\n\
             [registries.\"{target}\"]\nplain_http = true\n\
             [defaults]\ntarget = \"{target}/mirror\"\npath = \"{{name}}\"\ntags = \"*\"\n"
        );
        let text = format!("{head}{}", toml(source));
        fs::write(stage.folder.path().join("mirror.toml"), text).unwrap();
        stage
    }

    /// Moves the first tag of each hundred.
    fn move_tags(&self) {
        for number in (0..self.tags).step_by(100) {
            let (repository, tag) = (number / TAGS_EACH, number % TAGS_EACH);
            let name = format!("bench/app{repository:03}");
            self.source.put_image(&name, &format!("v1.{tag}.0"), 1);
        }
    }

    fn run(&self, case: &str, options: &Options, report: &mut Report) {
        self.source.new_requests();
        self.target.new_requests();
        let mut command = Tool::Transship.in_folder(self.folder.path());
        command.args(["--json", "sync"]);
        let log = self.folder.path().join("log");
        let usage = process::run(command, &log, options.limit(), || false);
        let right = self.source.count_same(&self.target);
        report.say(&self.row(case, usage, right));
        if usage.end != End::Well || right != self.tags {
            report.fail(&format!("{} tags, {case}", self.tags));
        }
    }

    fn row(&self, case: &str, usage: Usage, right: usize) -> String {
        format!(
            "| {} | {case} | {:.2} | {:.2} | {:.3} | {:.1} | {} | {} | {:.1} | {right} |\n",
            self.tags,
            usage.seconds,
            usage.processor_seconds,
            1000.0 * usage.processor_seconds / self.tags as f64,
            usage.peak_bytes as f64 / MIB,
            self.source.new_requests(),
            self.target.new_requests(),
            database_bytes(self.folder.path()) as f64 / MIB,
        )
    }
}

/// The size of the database and its log.
fn database_bytes(folder: &Path) -> u64 {
    let files = ["transship.db", "transship.db-wal"].map(|name| folder.join(name));
    let sizes = files.iter().filter_map(|file| fs::metadata(file).ok());
    sizes.map(|data| data.len()).sum()
}

/// More and more tags, then many mirrors in one daemon.
pub fn growth(options: &Options, report: &mut Report) {
    report.open("Growth", &format!("{WORDS}\n\n{HEAD}"));
    for tags in options.growth_tags() {
        let repositories = tags / TAGS_EACH;
        let stage = GrowthStage::with(repositories, TAGS_EACH, |source| {
            let from = (0..repositories)
                .map(|number| format!("    \"{source}/bench/app{number:03}\",\n"))
                .collect::<String>();
            format!("[[mirror]]\nname = \"bench\"\nfrom = [\n{from}]\n")
        });
        stage.run("cold", options, report);
        stage.run("unchanged", options, report);
        stage.move_tags();
        stage.run("1 % moved", options, report);
    }
    daemon(options, report);
}

fn daemon(options: &Options, report: &mut Report) {
    let (mirrors, each) = (options.daemon_mirrors(), 10);
    let every = Duration::from_secs(60);
    report.say(&format!(
        "\nA daemon whose mirrors each run once a minute, after the first copies; hours are extrapolated.\n\n{DAEMON_HEAD}"
    ));
    let stage = GrowthStage::with(mirrors, each, |source| {
        let mirror = |number| {
            format!(
                "[[mirror]]\nname = \"m{number}\"\nfrom = \"{source}/bench/app{number:03}\"\nevery = \"{}s\"\n",
                every.as_secs()
            )
        };
        (0..mirrors).map(mirror).collect()
    });
    let mut command = Tool::Transship.in_folder(stage.folder.path());
    let log = File::create(stage.folder.path().join("log")).unwrap();
    command
        .arg("serve")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let mut child = command.stderr(log).spawn().unwrap();
    let until = Instant::now() + options.limit();
    while stage.source.count_same(&stage.target) < stage.tags && Instant::now() < until {
        thread::sleep(Duration::from_millis(200));
    }
    // What is written behind a copy is not part of a check.
    thread::sleep(Duration::from_secs(5));
    stage.source.new_requests();
    let before = process::now(&child);
    thread::sleep(options.daemon_time());
    let after = process::now(&child);
    // A run is one listing and a HEAD for each tag.
    let runs = stage.source.new_requests() / (each + 1);
    drop((child.kill(), child.wait()));
    let used = after.processor_seconds - before.processor_seconds;
    let seconds = options.daemon_time().as_secs_f64();
    report.say(&format!(
        "| {mirrors} | {each} | {} s | {seconds:.0} | {runs} | {used:.2} | {:.0} | {:.1} | {:.1} |\n",
        every.as_secs(),
        used * 3600.0 / seconds,
        used / (runs.max(1) as f64) * mirrors as f64,
        after.peak_bytes as f64 / MIB,
    ));
}
