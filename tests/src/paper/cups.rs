//! The other side: a CUPS of its own, with a raw queue on the printer's port, as tills that print by CUPS have it.
//!
//! Absent on purpose: everything that would make CUPS look worse than a careful administrator has it: a job that failed is
//! tried again after 5 s instead of 30, and the queue is not stopped by a failure.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use toko_devices::{Model, Page, Style, escpos};

use super::counter::Counter;
use super::spooler::{Job, Said, Spooler};
use crate::bench::trouble::Trouble;
use crate::process::{Daemon, Program, free_tcp_port, wait_until};

/// How long anything of CUPS may take.
const PATIENCE: Duration = Duration::from_secs(30);
const QUEUE: &str = "till";
const CUPSD: &str = "/usr/sbin/cupsd";

/// When CUPS writes down what it has promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// After 30 s, as it comes.
    AsDelivered,
    /// At once: `DirtyCleanInterval 0`.
    AtOnce,
}

impl Keeping {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::AsDelivered => "as delivered",
            Self::AtOnce => "DirtyCleanInterval 0",
        }
    }
}

/// A scheduler with one queue.
#[derive(Debug)]
pub struct Cups {
    name: String,
    keeping: Keeping,
    dir: PathBuf,
    port: u16,
    program: Program,
    daemon: Option<Daemon>,
    model: String,
    asked: u64,
}

impl Cups {
    /// Starts it in `dir` with a queue for the printer; its receipts have the rows of `model`.
    pub fn open(dir: &Path, keeping: Keeping, counter: &Counter, model: &str) -> Result<Self, Trouble> {
        for folder in ["root", "spool", "spool/tmp", "cache", "state", "log"] {
            fs::create_dir_all(dir.join(folder))?;
        }
        let (port, at) = (free_tcp_port()?, dir.display());
        let files = format!(
            "ServerRoot {at}/root\nRequestRoot {at}/spool\nTempDir {at}/spool/tmp\nCacheDir {at}/cache\nStateDir {at}/state\n\
             AccessLog {at}/log/access\nErrorLog {at}/log/error\nPageLog {at}/log/page\nSystemGroup root lpadmin\n"
        );
        let open = "Order allow,deny\nAllow all\n";
        let interval = match keeping {
            Keeping::AsDelivered => "",
            Keeping::AtOnce => "DirtyCleanInterval 0\n",
        };
        let settings = format!(
            "Listen {}:{port}\nListen {at}/cups.sock\nBrowsing No\nWebInterface No\nDefaultAuthType None\nErrorPolicy retry-job\n\
             JobRetryInterval 5\n{interval}<Location />\n{open}</Location>\n<Policy default>\n<Limit All>\n{open}</Limit>\n</Policy>\n",
            Ipv4Addr::LOCALHOST
        );
        fs::write(dir.join("files.conf"), files)?;
        fs::write(dir.join("cupsd.conf"), settings)?;
        let program = Program {
            name: "cupsd".into(),
            exe: CUPSD.into(),
            args: ["-f", "-c", &format!("{at}/cupsd.conf"), "-s", &format!("{at}/files.conf")]
                .map(str::to_owned)
                .into(),
            env: Vec::new(),
            log: dir.join("cupsd.log"),
        };
        fs::write(dir.join("jobs.test"), question("Get-Jobs", &["job-id", "job-state"]))?;
        let wanted = ["printer-state-reasons", "printer-state-message"];
        fs::write(dir.join("printer.test"), question("Get-Printer-Attributes", &wanted))?;
        let mut cups = Self {
            name: format!("CUPS {}, {}", version()?, keeping.words()),
            keeping,
            dir: dir.to_owned(),
            port,
            program,
            daemon: None,
            model: model.to_owned(),
            asked: 0,
        };
        cups.start()?;
        let uri = format!("socket://{}", counter.address());
        cups.run("lpadmin", &["-p", QUEUE, "-E", "-v", &uri, "-m", "raw"])?;
        // A queue that was made just now would be lost with the jobs; one that was there yesterday is on disk.
        if let Some(daemon) = cups.daemon.take() {
            daemon.stop(PATIENCE)?;
        }
        cups.start()?;
        Ok(cups)
    }

    /// The rows of the model under another job, as bytes for the printer.
    fn receipt(&self, job: &str) -> Vec<u8> {
        let rows = self.model.lines().filter(|row| !row.starts_with("Job "));
        let page = rows.fold(Page::new(), |page, row| page.text(row, Style::PLAIN));
        escpos::encode(&page.job(job).cut(), &Model::paper_80mm())
    }

    fn run(&self, program: &str, args: &[&str]) -> Result<String, Trouble> {
        let socket = self.dir.join("cups.sock");
        let done = Command::new(program).args(args).env("CUPS_SERVER", socket).output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if done.status.success() {
            return Ok(text(&done.stdout));
        }
        Err(Trouble::product("CUPS")(format!("{program} {args:?}: {}", text(&done.stderr))))
    }

    /// Asks by IPP; the answer's rows without their heading.
    fn ask_ipp(&self, test: &str) -> Result<Vec<String>, Trouble> {
        let uri = format!("ipp://{}:{}/printers/{QUEUE}", Ipv4Addr::LOCALHOST, self.port);
        let file = self.dir.join(test).display().to_string();
        Ok(self.run("ipptool", &["-c", &uri, &file])?.lines().skip(1).map(str::to_owned).collect())
    }
}

impl Spooler for Cups {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_timed(&self) -> bool {
        self.keeping == Keeping::AsDelivered
    }

    fn ask(&mut self) -> Result<Job, Trouble> {
        self.asked += 1;
        // As long as ours.
        let job = format!("{:032x}", self.asked);
        let file = self.dir.join("receipt.bin");
        fs::write(&file, self.receipt(&job))?;
        let said = self.run("lp", &["-d", QUEUE, "-o", "raw", &file.display().to_string()])?;
        let promised = Instant::now();
        // `request id is till-7 (1 file(s))`
        let number = said.split_whitespace().find_map(|word| word.strip_prefix(QUEUE)?.strip_prefix('-'));
        let asked_by = number.ok_or_else(|| Trouble::product("CUPS")(format!("lp said {said:?}")))?;
        Ok(Job { on_paper: job, asked_by: asked_by.to_owned(), promised })
    }

    fn said(&self, job: &Job) -> Result<Said, Trouble> {
        let rows = self.ask_ipp("jobs.test")?;
        // The number of a job that was lost is given again, and then this is what CUPS says of another.
        let state = rows.iter().find_map(|row| row.strip_prefix(&job.asked_by)?.strip_prefix(','));
        Ok(match state {
            Some("completed") => Said::Printed,
            Some("aborted" | "canceled") => Said::GivenUp,
            Some(_) => Said::Waits,
            None => Said::Unknown,
        })
    }

    fn tells_paper_out(&self) -> Result<bool, Trouble> {
        let rows = self.ask_ipp("printer.test")?;
        Ok(rows.iter().any(|row| row.contains("media") || row.to_lowercase().contains("paper")))
    }

    fn cut_power(&mut self) -> Result<(), Trouble> {
        let Some(daemon) = self.daemon.take() else { return Ok(()) };
        let backends = daemon.pid().map(children).unwrap_or_default();
        daemon.kill()?;
        for backend in backends {
            // Gone already is as good.
            let _ = kill_process(backend, Signal::KILL);
        }
        Ok(())
    }

    fn start(&mut self) -> Result<(), Trouble> {
        self.daemon = Some(Daemon::start(&self.program)?);
        wait_until("CUPS", PATIENCE, || {
            self.run("lpstat", &["-r"])
                .map_err(|error| error.to_string())
                .and_then(|said| if said.contains("is running") { Ok(()) } else { Err(said) })
        })?;
        Ok(())
    }
}

impl Drop for Cups {
    fn drop(&mut self) {
        // Whoever cannot be ended now is gone already.
        let _ = self.cut_power();
    }
}

/// Processes that a process has started and that run.
fn children(parent: u32) -> Vec<Pid> {
    let listed = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    listed.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}

/// `2.4.2`.
fn version() -> Result<String, Trouble> {
    let absent = |error| Trouble::product("CUPS")(format!("cups-config and dpkg-query: {error}"));
    let asked = Command::new("dpkg-query").args(["-W", "-f", "${Version}", "cups-daemon"]).output();
    let said = String::from_utf8_lossy(&asked.map_err(absent)?.stdout).into_owned();
    Ok(said.split('-').next().filter(|said| !said.is_empty()).unwrap_or("of this machine").to_owned())
}

/// A question that `ipptool` asks, and which attributes of the answer it shows.
fn question(operation: &str, wanted: &[&str]) -> String {
    let display: String = wanted.iter().map(|name| format!("DISPLAY {name}\n")).collect();
    let which = if operation == "Get-Jobs" { "ATTR keyword which-jobs all\n" } else { "" };
    format!(
        "{{\nOPERATION {operation}\nGROUP operation-attributes-tag\nATTR charset attributes-charset utf-8\n\
         ATTR language attributes-natural-language en\nATTR uri printer-uri $uri\n{which}\
         ATTR keyword requested-attributes {}\n{display}}}\n",
        wanted.join(",")
    )
}
