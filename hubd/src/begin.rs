//! `hubd init`: a store where there was none.
//!
//! Two keys are drawn: the store's root key, which signs that this hub is the hub in term 1 and is then shown once as the
//! recovery code and kept nowhere; and the hub's own key, which stays in the data directory.

use crate::config::{File, Shop};
use crate::{Failure, Place};
use serde_json::json;
use std::io::{self, Write};
use std::sync::Arc;
use toko_daemon::exit;
use toko_daemon::settings::Problems;
use toko_mesh::node::setup::{Meaning, found_store};
use toko_retail::scope::ShopScope;
use toko_retail::views::ShopFold;

/// What `hubd init` needs to know.
#[derive(Debug, clap::Args)]
pub(crate) struct Init {
    /// What stands on top of receipts.
    #[arg(long)]
    name: String,
    /// ISO 4217 code of the shop's currency.
    #[arg(long)]
    currency: String,
    /// Print store, node and recovery code as JSON.
    #[arg(long)]
    json: bool,
}

/// Makes the store and prints its recovery code.
pub(crate) fn init(place: &Place, init: &Init) -> Result<(), Failure> {
    let shop = Shop { name: init.name.clone(), currency: init.currency.clone() };
    let file = File { shop: shop.clone(), ..File::default() };
    let checked = file.parse(&place.data);
    checked.map_err(|Problems(problems)| Failure::new(exit::USAGE, problems.join("\n")))?;

    let meaning = Meaning { fold: Arc::new(ShopFold), scope: Arc::new(ShopScope) };
    let founded =
        found_store(&place.data, &meaning).map_err(|problem| Failure::caused(exit::STORE, &problem))?;
    write_settings(place, &shop, None)?;

    let recovery = &founded.recovery;
    let text = if init.json {
        let answer = json!({ "store": founded.store.to_string(), "node": founded.hub.to_string(), "recovery_code": recovery.to_string() });
        format!("{answer:#}\n")
    } else {
        format!(
            "Store {} is made in {}.\n\nRecovery code, shown once and kept nowhere on this machine:\n\n  {recovery}\n\n\
             Write it down and keep it away from the shop. With it any machine can become this store's hub,\nand without it \
             no headquarters can be joined.\n\nNext: hubd run, then hubctl enrol \"Till 1\".\n",
            founded.store.short(),
            place.data.display(),
        )
    };
    io::stdout().write_all(text.as_bytes()).map_err(|problem| Failure::new(exit::FAILED, problem))
}

/// The knobs that were told on the way; all others stay at their defaults.
pub(crate) fn write_settings(place: &Place, shop: &Shop, headquarters: Option<&str>) -> Result<(), Failure> {
    let path = place.data.join("hubd.toml");
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let mut text = format!(
        "# See the shipped hubd.toml for every setting, and `hubd config check` for those in force.\n\n[shop]\nname = {}\ncurrency = {}\n",
        quoted(&shop.name),
        quoted(&shop.currency)
    );
    if let Some(address) = headquarters {
        text.push_str(&format!("\n[headquarters]\naddresses = [{}]\n", quoted(address)));
    }
    std::fs::write(&path, text)
        .map_err(|problem| Failure::new(exit::STORE, format!("{}: {problem}", path.display())))
}
