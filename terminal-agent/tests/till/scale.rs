//! The scale of a till, through its API: a weight of now, or what to do.

use crate::common::{Shop, config};
use serde_json::json;
use terminal_agent::ask::Method;
use terminal_agent::config::{Config, File};
use toko_devices::scale::{Pan, Protocol, VirtualScale};

pub(crate) fn melon_on_a_scale() -> VirtualScale {
    VirtualScale::spawn(Protocol::Nci, Pan { display: "01.250".into(), ..Pan::default() }).unwrap()
}

pub(crate) fn config_with_scale(scale: &VirtualScale) -> Config {
    let mut file = File::default();
    file.scale.address = format!("serial:{}?frame=7E1", scale.path().display());
    file.scale.protocol = "nci".into();
    file.scale.within = toko_daemon::settings::Millis(2_000);
    Config { scale: file.parse().unwrap().scale, ..config() }
}

async fn weigh(shop: &Shop) -> (u16, serde_json::Value) {
    shop.door.call(Method::GET, "/v1/scale", None, None).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_till_tells_what_lies_on_its_scale_now_or_what_to_do() {
    let (dir, scale) = (tempfile::tempdir().unwrap(), melon_on_a_scale());
    let shop = Shop::open_with(dir.path(), 1, &config_with_scale(&scale)).await;
    let weight = json!({ "qty": "1.250", "unit": "kg", "net": false });
    assert_eq!(weigh(&shop).await, (200, weight));
    let code = async |change: fn(&mut Pan)| {
        scale.set(|pan| *pan = Pan { display: "01.250".into(), ..Pan::default() });
        scale.set(change);
        let (status, refused) = weigh(&shop).await;
        assert!(!refused["error"]["screen"].as_str().unwrap().is_empty());
        (status, refused["error"]["code"].as_str().unwrap().to_owned())
    };
    assert_eq!(code(|pan| pan.moving = true).await, (409, "weight-not-stable".to_owned()));
    assert_eq!(code(|pan| pan.over = true).await, (409, "too-heavy".to_owned()));
    assert_eq!(code(|pan| pan.under = true).await, (409, "scale-not-at-zero".to_owned()));
    assert_eq!(code(|pan| pan.display = "00.002".into()).await, (409, "nothing-to-weigh".to_owned()));
    assert_eq!(code(|pan| pan.unit = "LB".into()).await, (503, "scale-unit".to_owned()));
    assert_eq!(code(|pan| pan.silent = true).await, (503, "scale-away".to_owned()));
    drop(scale);
    assert_eq!(weigh(&shop).await.0, 503, "unplugged");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_till_without_a_scale_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path(), 1).await;
    let (status, refused) = weigh(&shop).await;
    assert_eq!((status, refused["error"]["code"].as_str()), (404, Some("no-scale")));
    shop.close().await;
}
