//! A link that comes back without news: what both sides say until they know that they hold the same.

use std::time::Duration;

use toko_mesh::node::LinkStatus;

use super::crowd::{Crowd, name, until_links};
use super::table::{Figure, Row};
use super::trouble::Trouble;
use super::{Bench, RECONNECT};

/// Terminals of the shop.
const TILLS: usize = 24;
/// The most that both may say.
const FRAMES_MAX: u64 = 512;
/// Sales before, so that there is something to compare.
const SALES: u64 = 240;
/// What is said so long after the link works belongs to it; the tick of a second later does not.
const TOLD: Duration = Duration::from_millis(400);

/// Bytes of frames, and of everything, until a link that came back works.
pub fn reconnect(bench: &Bench) -> Result<Vec<Row>, Trouble> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let dir = bench.fresh("reconnect")?;
    let link = runtime.block_on(again(bench, &dir))?;
    let frames = link.frame_bytes_out + link.frame_bytes_in;
    let measured = vec![
        ("frames", Figure::Bytes(frames)),
        ("said by the terminal", Figure::Bytes(link.frame_bytes_out)),
    ];
    let beside = vec![("with QUIC, TLS and UDP", Figure::Bytes(link.bytes_out + link.bytes_in))];
    let what = format!("a terminal is linked with its hub again, no news, {TILLS} terminals");
    Ok(vec![
        Row::new(RECONNECT, what, measured).beside(beside, None).to_reach("≤ 512 B", frames <= FRAMES_MAX),
    ])
}

async fn again(bench: &Bench, dir: &std::path::Path) -> Result<LinkStatus, Trouble> {
    let shop = Crowd::open(dir, TILLS, true).await?;
    shop.sell(&bench.goods, SALES, &[]).await?;
    shop.until_equal(&shop.all()).await?;
    let (till, hub) = (&shop.tills[0], shop.hub.id());
    let works = |link: &&LinkStatus| link.peer == hub && link.settled;
    // The first time that it is back, it says where it met the others: that is news.
    for _ in 0..2 {
        shop.cut(&name(0), true);
        until_links("silence to be noticed", till, <[_]>::is_empty).await?;
        shop.cut(&name(0), false);
        until_links("the link to be back", till, |links| links.iter().any(|link| works(&link))).await?;
        tokio::time::sleep(TOLD).await;
    }
    let links = till.status().await.map_err(Trouble::product("asking a node"))?.links;
    let link = links.into_iter().find(|link| works(&link));
    shop.stop().await?;
    link.ok_or_else(|| Trouble::product("a link that came back")("it is gone again"))
}
