//! Paper that is no receipt.

use std::path::Path;

use toko_devices::virtual_printer::{Options, VirtualPrinter};
use toko_tests::process::wait_until;

use crate::rig::{Hub, SOON, Till};

mod run_alone {
    use super::*;

    #[test]
    fn a_code_comes_out_of_the_printer_and_a_printer_that_is_off_keeps_no_terminal_out() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("paper");
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let options = Options { columns: 42, ..Options::new(&out) };
        let printer = runtime.block_on(VirtualPrinter::spawn(options)).unwrap();
        let mut hub = Hub::found(dir.path(), "hub");
        assert_eq!(hub.ctl(&["enrol", "Till 1"])["slip"], serde_json::Value::Null, "without a printer");
        hub.stop();
        let settings = format!("[printer]\naddress = \"{}\"\n", printer.address());
        std::fs::write(hub.data.join("hubd.toml"), settings).unwrap();
        hub.start();

        let told = hub.ctl(&["enrol", "Till 1"]);
        let code = told["code"].as_str().unwrap();
        assert!(told["slip"].as_str().unwrap().starts_with("printed"), "{told}");
        let paper = wait_until("the slip", SOON, || paper(&out)).unwrap();
        assert!(
            paper.contains("Till 1") && paper.split_whitespace().collect::<String>().contains(code),
            "{paper}"
        );
        Till::enrol_with(dir.path(), &dir.path().join("Till 1"), &hub, "Till 1", code);

        drop(printer);
        let told = hub.ctl(&["enrol", "Till 2"]);
        assert!(told["slip"].as_str().unwrap().starts_with("not "), "{told}");
        let code = told["code"].as_str().unwrap();
        Till::enrol_with(dir.path(), &dir.path().join("Till 2"), &hub, "Till 2", code);
    }
}

/// All that is on paper, as text.
fn paper(out: &Path) -> Result<String, String> {
    let files = std::fs::read_dir(out.join("paper")).map_err(|absent| absent.to_string())?;
    let texts = files.filter_map(|file| std::fs::read_to_string(file.ok()?.path()).ok());
    let all: String = texts.collect();
    if all.contains("Enrols one terminal") { Ok(all) } else { Err(all) }
}
