//! Parked effects, tried again or let in because a person says so.

use toko_crdt::body::Admission;

use super::*;

fn parked(store: &Store) -> Vec<(EffectId, Code)> {
    store.reader().parked().unwrap().iter().map(|parked| (parked.effect, parked.code)).collect()
}

fn hub_books(hub: &Store) -> JournalId {
    JournalId { node: hub.node(), run: hub.run().unwrap(), lane: Lane::Books }
}

fn retry(store: &mut Store, effects: Vec<EffectId>) -> Vec<Option<Applied>> {
    match store.step(NOW, vec![Request::Retry(effects)]).remove(0) {
        Reply::Retried(answer) => answer.unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_tried_again_is_parked_again_or_counts_and_the_next_start_knows() {
    let disk = SimDisk::new();
    let mut store = member(&disk, 3);
    let [panics, unreadable, good] =
        ["!", "?", "+tin"].map(|text| EffectId::from(save(&mut store, text).hash));
    let nobody = EffectId([9; 32]);
    let came = retry(&mut store, vec![panics, unreadable, good, nobody]);
    assert_eq!(came[..2], [Some(Applied::Parked(Code::Panicked)), Some(Applied::Parked(Code::Unreadable))]);
    assert_eq!(came[2..], [None, None], "neither is parked");
    assert_eq!((parked(&store).len(), count(&store, "tin")), (2, 1));
    check_views(&store);
    // A build that can read it; views are not made anew here, the person's word does it.
    store.fold = Arc::new(Counting { cured: true, ..Counting::default() });
    assert_eq!(retry(&mut store, vec![panics]), [Some(Applied::Folded)]);
    assert_eq!((count(&store, "!"), parked(&store)), (1, vec![(unreadable, Code::Unreadable)]));
    drop(store);
    let store = open(&disk.process_killed(), 3);
    assert_eq!((count(&store, "!"), parked(&store).len()), (1, 1), "it went into the database at once");
    check_views(&store);
}

#[test]
fn a_mark_that_a_person_takes_away_is_gone_only_if_the_process_lives() {
    let disk = SimDisk::new();
    let mut store = member(&disk, 3);
    save(&mut store, "+tin");
    let killer = EffectId::from(save(&mut store, "#").hash);
    let start = |mut disk: SimDisk| loop {
        disk = disk.process_killed();
        let mut setup = setup(&disk, 3);
        setup.fold = Arc::new(Counting { kills: Some(disk.clone()), ..Counting::default() });
        if let Ok(store) = Store::open(setup)
            && !disk.is_dead()
        {
            return (store, disk);
        }
    };
    drop(store);
    let (mut store, disk) = start(disk);
    assert_eq!(parked(&store), [(killer, Code::Killed)]);
    // It kills again: the next start is as careful as the one before.
    store.step(NOW, vec![Request::Retry(vec![killer])]);
    assert!(disk.is_dead());
    drop(store);
    let (mut store, disk) = start(disk);
    assert_eq!(parked(&store), [(killer, Code::Killed)]);
    // It kills no more.
    store.fold = Arc::new(Counting::default());
    assert_eq!(retry(&mut store, vec![killer]), [Some(Applied::Folded)]);
    drop(store);
    let store = open(&disk.process_killed(), 3);
    assert_eq!((parked(&store), count(&store, "tin")), (vec![], 1));
    check_views(&store);
}

#[test]
fn what_the_hub_lets_in_counts_everywhere_at_once_whichever_comes_first() {
    let mut hub = member(&SimDisk::new(), 2);
    let [mut till, mut early, mut late] = [3, 4, 5].map(|seed| member(&SimDisk::new(), seed));
    let price = save(&mut till, "$tin");
    assert_eq!(price.parked, Some(Code::OutOfScope));
    pull(&till, &mut hub);
    pull(&till, &mut early);
    assert_eq!(parked(&hub), [(price.hash.into(), Code::OutOfScope)]);
    assert_eq!(retry(&mut hub, vec![price.hash.into()]), [Some(Applied::Parked(Code::OutOfScope))]);
    let admission = Admission { effect: price.hash.into(), why: "the owner rang".to_owned() };
    let append = |store: &mut Store| {
        let (lane, body) = (Lane::Books, Body::Admitted(admission.clone()));
        let append = Append { lane, body, saw: None, wait: Wait::Synced };
        match store.step(NOW, vec![Request::Append(Box::new(append))]).remove(0) {
            Reply::Appended(answer) => answer.unwrap(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(append(&mut till).parked, Some(Code::OutOfScope), "a till lets nothing in");
    assert_eq!(append(&mut hub).parked, None);
    pull(&hub, &mut early);
    let word = hub.reader().entries(hub_books(&hub), 1, 1 << 20).unwrap();
    ingest(&mut late, word).unwrap();
    assert_eq!(count(&late, "tin"), 0, "the word came first");
    pull(&till, &mut late);
    pull(&hub, &mut till);
    pull(&till, &mut hub);
    pull(&till, &mut early);
    let digests = hub.reader().digests().unwrap();
    for store in [&hub, &till, &early, &late] {
        assert_eq!(count(store, "tin"), 1);
        assert!(!parked(store).iter().any(|(effect, _)| *effect == price.hash.into()));
        assert_eq!(store.reader().digests().unwrap(), digests);
        check_views(store);
    }
}
