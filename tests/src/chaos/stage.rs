//! Runs one case after the other: in the shop of the case before, unless that was spoilt.
//!
//! Invariants: tills sell from before the fault until all is healed; afterwards every node holds the same books and they are
//! what was acknowledged, or the case has failed. A case that fails spoils its shop.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::cases::{Case, Seen};
use super::failure::{Failure, must};
use super::ledger::Mark;
use super::say;
use super::shop::{HQ, HUB, Shop, TILLS};
use super::table::{Outcome, Verdict};
use super::wire::{Wire, run};
use crate::demo::stop::StopSign;

/// How much of each log a failure shows.
const TAIL_LINES: usize = 15;

/// Where cases are played.
#[derive(Debug)]
pub struct Stage {
    shop: Option<Shop>,
    place: Place,
    prefix: String,
    keep: bool,
    stop: StopSign,
    opened: u32,
}

impl Stage {
    /// Looks whether the machine has what every case needs.
    pub fn set(dir: Option<&Path>, prefix: String, keep: bool, stop: StopSign) -> Result<Self, Failure> {
        let place = Place::make(dir)?;
        Ok(Self { shop: None, place, prefix, keep, stop, opened: 0 })
    }

    /// Plays one case.
    ///
    /// Errors: somebody wants to stop. Everything else is the case's outcome.
    pub fn play(&mut self, case: &'static Case) -> Result<Outcome, Failure> {
        if let Some(lacking) = case.needs.iter().find_map(|need| need.lacking()) {
            return Ok(Outcome { case, seen: lacking, took: Duration::ZERO, verdict: Verdict::Skipped });
        }
        let mut shop = match self.shop.take().map_or_else(|| self.open(), Ok) {
            Ok(shop) => shop,
            Err(failure) => return Self::failed(case, failure, Duration::ZERO),
        };
        let started = Instant::now();
        let mut seen = Seen::default();
        let played = perform(&mut shop, case, &mut seen);
        let took = started.elapsed();
        match played {
            Ok(()) => {
                self.shop = (!case.spoils).then_some(shop);
                Ok(Outcome { case, seen: seen.in_words(), took, verdict: Verdict::Held })
            }
            Err(failure) => {
                let is_failure = !matches!(failure, Failure::Skipped(_)) && !failure.is_interruption();
                if is_failure {
                    self.keep = true;
                    say(&format!("{}\nbefore that: {}", tails(shop.dir()), seen.in_words()));
                }
                drop(shop);
                Self::failed(case, failure, took)
            }
        }
    }

    /// Everybody goes home. The directory that stays, if it does.
    pub fn end(mut self) -> Option<PathBuf> {
        self.shop = None;
        self.place.leave(self.keep)
    }

    fn open(&mut self) -> Result<Shop, Failure> {
        self.opened += 1;
        let dir = self.place.path().join(self.opened.to_string());
        fs::create_dir(&dir).map_err(|e| Failure::system(format!("cannot make {}", dir.display()), e))?;
        let wire = Wire::lay(&self.prefix)?;
        let mut shop = Shop::on(wire, &dir, self.stop.clone())?;
        match shop.open() {
            Ok(()) => Ok(shop),
            Err(failure) if failure.is_interruption() => Err(failure),
            Err(failure) => {
                self.keep = true;
                say(&tails(&dir));
                Err(Failure::wrong(format!("the shop did not open: {}", failure.in_full())))
            }
        }
    }

    fn failed(case: &'static Case, failure: Failure, took: Duration) -> Result<Outcome, Failure> {
        let (seen, verdict) = match failure {
            Failure::Skipped(reason) => (reason, Verdict::Skipped),
            failure if failure.is_interruption() => return Err(failure),
            failure => (failure.in_full(), Verdict::Failed),
        };
        Ok(Outcome { case, seen, took, verdict })
    }
}

fn perform(shop: &mut Shop, case: &Case, seen: &mut Seen) -> Result<(), Failure> {
    let mark = shop.ledger.mark();
    shop.sell_on_all()?;
    shop.all_sell(&TILLS, 1)?;
    (case.run)(shop, seen)?;
    shop.all_sell(&TILLS, 1)?;
    shop.go_home()?;
    let agreed = shop.agree()?;
    shop.books_hold()?;
    shop.ledger.numbers_hold(seen.numbers_twice)?;
    nobody_was_turned_away(shop, &mark, seen)?;
    seen.note(format!(
        "{} sales, slowest {} ms; all agree after {} ms",
        shop.ledger.acks_since(&mark).len(),
        shop.ledger.slowest().as_millis(),
        agreed.as_millis()
    ));
    tidy_up(shop)
}

/// I3: but for tills that the case itself broke, every request was answered, and by a sale.
fn nobody_was_turned_away(shop: &Shop, mark: &Mark, seen: &Seen) -> Result<(), Failure> {
    for till in TILLS.into_iter().filter(|till| !seen.excused.contains(till)) {
        let refusals = shop.ledger.refusals_since(mark);
        let refused: Vec<_> = refusals.iter().filter(|refusal| refusal.till == till).take(3).collect();
        must(refused.is_empty(), || format!("I3: {till} turned customers away: {refused:?}"))?;
        let silences = shop.ledger.silences_since(mark, till);
        must(silences == 0, || format!("I3: {till} gave no answer {silences} times"))?;
    }
    Ok(())
}

/// For the next case: no rule, no limit, all cables in. A case that ended well left it so.
fn tidy_up(shop: &mut Shop) -> Result<(), Failure> {
    for name in TILLS.into_iter().chain([HUB, HQ]) {
        shop.wire.clear(name)?;
    }
    Ok(())
}

/// The last lines of every log.
fn tails(dir: &Path) -> String {
    let mut all = String::new();
    let mut logs: Vec<PathBuf> =
        fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect();
    logs.sort();
    for log in logs.iter().filter(|path| path.extension().is_some_and(|extension| extension == "log")) {
        let text = fs::read_to_string(log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        all.push_str(&format!("--- {}\n", log.display()));
        all.push_str(&lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"));
        all.push('\n');
    }
    all
}

/// The directory, with mounts of its own below it: what is mounted there is unmounted for every process at once.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    made: Option<tempfile::TempDir>,
}

impl Place {
    fn make(dir: Option<&Path>) -> Result<Self, Failure> {
        let refused = |e| Failure::system("cannot make a directory for the run", e);
        let (path, made) = match dir {
            Some(dir) => {
                fs::create_dir_all(dir).map_err(refused)?;
                (dir.canonicalize().map_err(refused)?, None)
            }
            None => {
                let made = tempfile::Builder::new().prefix("toko-chaos-").tempdir().map_err(refused)?;
                (made.path().to_owned(), Some(made))
            }
        };
        let at = path.display().to_string();
        run(&["mount", "--bind", &at, &at])?;
        run(&["mount", "--make-shared", &at])?;
        Ok(Self { path, made })
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn leave(mut self, keep: bool) -> Option<PathBuf> {
        self.unmount();
        match self.made.take() {
            Some(made) if keep => Some(made.keep()),
            Some(made) => {
                // Temporary: what cannot be removed goes with the next reboot.
                let _ = made.close();
                None
            }
            None => Some(self.path.clone()),
        }
    }

    fn unmount(&self) {
        // Lazily: a process that is about to die may still be in there.
        let _ = run(&["umount", "-R", "-l", &self.path.display().to_string()]);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.made.is_some() {
            self.unmount();
        }
    }
}
