//! A terminal that is switched on in the morning: nothing of its directory is in the page cache.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{Advice, fadvise};

use super::shop::Shop;
use super::table::{Figure, Row};
use super::till::Cashier;
use super::trouble::Trouble;
use super::turns::median;
use super::{Bench, COLD};

/// How long a terminal may take to its first sale.
const COLD_MAX: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(30);

/// From `exec` until the first sale is safe.
pub fn cold(bench: &Bench, shop: &mut Shop) -> Result<Vec<Row>, Trouble> {
    let mut samples = Vec::new();
    for nth in 0..bench.pace.restarts {
        shop.tills[0].0.stop()?;
        forget(&shop.tills[0].0.data)?;
        let started = Instant::now();
        shop.tills[0].0.start()?;
        let mut cashier = loop {
            match Cashier::at(shop, 0, &format!("morning-{nth}")) {
                Ok(cashier) => break cashier,
                Err(trouble) if started.elapsed() > PATIENCE => return Err(trouble),
                // Its door is still closed; a foreign process offers nothing to wait on but another look.
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        cashier.sell()?;
        samples.push(started.elapsed());
    }
    let Some(median) = median(samples) else { return Ok(Vec::new()) };
    let what = "cold start, nothing in the page cache → a cart of 8 lines sold, 100 000 items";
    let row = Row::new(COLD, what, vec![("median", Figure::Took(median))]);
    Ok(vec![row.to_reach("≤ 500 ms", median <= COLD_MAX)])
}

/// Takes every file below out of the page cache.
fn forget(dir: &Path) -> Result<(), Trouble> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            forget(&entry.path())?;
        } else if entry.file_type()?.is_file() {
            let file = File::open(entry.path())?;
            // What is not yet on disk stays in memory.
            file.sync_all()?;
            fadvise(&file, 0, None, Advice::DontNeed).map_err(std::io::Error::from)?;
        }
    }
    Ok(())
}
