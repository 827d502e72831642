//! A small mutation fuzzer. Seeds are in `tests/fuzz/corpus` of the package under test.
//!
//! `cargo test --workspace --lib fuzz` tries 20,000 inputs per parser. `TRANSSHIP_FUZZ_SECONDS=600` tries each parser
//! for that long, from a new random seed; `TRANSSHIP_FUZZ_SEED` repeats the seed of a failure.

#![allow(clippy::unwrap_used, reason = "a test without its corpus fails")]

use std::{
    env, fs,
    path::Path,
    time::{Duration, Instant},
};

/// Inputs of one parser where nobody asks for more.
const INPUTS: u64 = 20_000;
/// Longest input.
const LONGEST: usize = 64 << 10;
/// Inputs that are built upon at a time.
const POOL: usize = 2_000;
/// What parsers stumble over.
const ODD: [&str; 48] = [
    "..",
    "/",
    "//",
    "\\",
    "%2e%2e",
    "%00",
    "\0",
    "\n",
    "\r\n",
    "\t",
    " ",
    "\u{85}",
    "\u{202e}",
    "\u{1f6a2}",
    "é",
    "ß",
    "\"",
    "\\\"",
    "'",
    "<",
    ">",
    "<>",
    "=",
    ",",
    ";",
    ":",
    "@",
    "{",
    "}",
    "[",
    "]",
    "*",
    "?",
    "#",
    "-",
    "_",
    "__",
    ".",
    "0",
    "-1",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775809",
    "1e309",
    "1e-400",
    "NaN",
    "sha256:",
    "null",
];

/// What became of the inputs of one parser.
struct Totals {
    target: &'static str,
    seed: u64,
    /// How long it runs, where somebody asks for more than the usual.
    seconds: Option<u64>,
    inputs: u64,
    accepted: u64,
    slowest: Duration,
    began: Instant,
}

/// Shows the input that a panic is about.
struct Shown<'a> {
    totals: &'a Totals,
    input: &'a str,
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Totals {
                target,
                seed,
                inputs,
                ..
            } = self.totals;
            eprintln!(
                "fuzz {target}: input {inputs} of TRANSSHIP_FUZZ_SEED={seed} fails: {:?}",
                self.input
            );
        }
    }
}

impl Totals {
    /// Nothing tried so far; where inputs begin and for how long they come is in the environment.
    fn new(target: &'static str) -> Self {
        let number = |name| {
            env::var(name)
                .ok()
                .and_then(|text| text.parse::<u64>().ok())
        };
        let seconds = number("TRANSSHIP_FUZZ_SECONDS");
        let fresh = || seconds.map_or(1, |_| fastrand::u64(..));
        Self {
            target,
            seed: number("TRANSSHIP_FUZZ_SEED").unwrap_or_else(fresh),
            seconds,
            inputs: 0,
            accepted: 0,
            slowest: Duration::ZERO,
            began: Instant::now(),
        }
    }

    fn is_enough(&self) -> bool {
        match self.seconds {
            Some(seconds) => self.began.elapsed() >= Duration::from_secs(seconds),
            None => self.inputs >= INPUTS,
        }
    }

    /// Tries one input.
    fn feed(&mut self, input: &str, check: &mut impl FnMut(&str) -> bool) -> bool {
        let began = Instant::now();
        let shown = Shown {
            totals: self,
            input,
        };
        let is_accepted = check(input);
        drop(shown);
        self.slowest = self.slowest.max(began.elapsed());
        self.inputs += 1;
        self.accepted += u64::from(is_accepted);
        is_accepted
    }

    fn tell(&self) {
        let (target, took) = (self.target, self.began.elapsed());
        let (inputs, accepted, slowest) = (self.inputs, self.accepted, self.slowest);
        eprintln!(
            "fuzz {target}: {inputs} inputs, {accepted} accepted, {took:?}, slowest {slowest:?}"
        );
        assert!(
            accepted > 0,
            "{target}: nothing was accepted, so that nothing was tried"
        );
    }
}

/// Feeds a parser. `check` fails the test where something does not hold, and says whether the input was accepted: what
/// was is built upon.
pub fn fuzz(target: &'static str, mut check: impl FnMut(&str) -> bool) {
    let mut totals = Totals::new(target);
    let mut random = fastrand::Rng::with_seed(totals.seed);
    let mut pool = seeds(target);
    for seed in &pool {
        totals.feed(seed, &mut check);
    }
    while !totals.is_enough() {
        let input = mutated(&pool, &mut random);
        let is_accepted = totals.feed(&input, &mut check);
        // Much of what is not accepted differs in a single place from what is.
        if is_accepted || random.u8(..) == 0 {
            match pool.len() < POOL {
                true => pool.push(input),
                false => {
                    let place = random.usize(..POOL);
                    pool[place] = input;
                }
            }
        }
    }
    totals.tell();
}

/// The files of the corpus; of those that end in `.lines`, each line.
fn seeds(target: &str) -> Vec<String> {
    // Set by cargo to the folder of the package under test, not of this one.
    let package = env::var_os("CARGO_MANIFEST_DIR").unwrap();
    let folder = Path::new(&package).join("tests/fuzz/corpus").join(target);
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let mut seeds = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        match path
            .extension()
            .is_some_and(|extension| extension == "lines")
        {
            true => seeds.extend(text.lines().map(str::to_owned)),
            false => seeds.push(text),
        }
    }
    assert!(!seeds.is_empty(), "{target} has a corpus");
    seeds
}

/// One of the pool, changed in a few places.
fn mutated(pool: &[String], random: &mut fastrand::Rng) -> String {
    let mut bytes = pool[random.usize(..pool.len())].clone().into_bytes();
    for _ in 0..=random.usize(..5) {
        let from = random.usize(..=bytes.len());
        let to = from + random.usize(..=(bytes.len() - from).min(16));
        let other = pool[random.usize(..pool.len())].as_bytes();
        let other = &other[random.usize(..=other.len())..];
        let part: Vec<u8> = match random.u8(..10) {
            0 => Vec::new(),
            1 => vec![random.u8(..)],
            2 => vec![random.u8(b' '..b'\x7f')],
            3 => bytes[from..to].repeat(2),
            4 => bytes[from..to].repeat(1 << random.usize(..9)),
            5 => bytes[from..to].iter().rev().copied().collect(),
            6 => other[..random.usize(..=other.len().min(40))].to_vec(),
            7 => random.u64(..).to_string().into_bytes(),
            _ => ODD[random.usize(..ODD.len())].into(),
        };
        bytes.splice(from..to, part);
        bytes.truncate(LONGEST);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
