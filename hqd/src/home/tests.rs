use super::*;
use std::os::unix::fs::PermissionsExt;

fn made() -> (tempfile::TempDir, PathBuf) {
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("hq");
    Home::init(&dir, "Head office", &[7; 16]).unwrap();
    (outer, dir)
}

fn gbp() -> Currency {
    Currency::parse("GBP").unwrap()
}

#[test]
fn an_empty_directory_is_never_taken_for_headquarters() {
    let empty = tempfile::tempdir().unwrap();
    let problem = Home::open(empty.path()).unwrap_err();
    assert!(matches!(problem, HomeError::Foreign { .. }), "{problem}");
    assert!(problem.to_string().contains("hqd init"), "{problem}");
    assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0, "nothing was changed");
}

#[test]
fn a_foreign_directory_is_not_made_into_one() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("precious"), "x").unwrap();
    let problem = Home::init(dir.path(), "HQ", &[7; 16]).unwrap_err();
    assert!(problem.to_string().contains("precious"), "{problem}");
    let (_outer, made) = made();
    assert!(matches!(Home::init(&made, "HQ", &[7; 16]), Err(HomeError::Already { .. })));
}

#[test]
fn only_one_process_has_it() {
    let (_outer, dir) = made();
    let first = Home::open(&dir).unwrap();
    assert_eq!((first.name(), first.id()), ("Head office", hex(&[7; 16]).as_str()));
    assert!(matches!(Home::open(&dir), Err(HomeError::Locked { .. })));
    drop(first);
    assert!(Home::open(&dir).is_ok());
}

#[test]
fn stores_read_back_with_their_keys_and_only_their_owner_reads_those() {
    let (_outer, dir) = made();
    let home = Home::open(&dir).unwrap();
    let mut store = home.add_store("High Street", gbp(), SecretKey::from_seed([9; 32])).unwrap();
    let mode = fs::metadata(store.dir.join(KEY)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    store.joined(SecretKey::from_seed([1; 32]).public()).unwrap();
    fs::create_dir(dir.join(STORES).join("half.new")).unwrap();
    let folders = home.folders().unwrap();
    assert_eq!(folders.len(), 1, "what a crash left is cleared away");
    let found = StoreFolder::read(&folders[0]).unwrap();
    assert_eq!((found.name.as_str(), found.currency), ("High Street", gbp()));
    assert_eq!((found.node(), found.root), (store.node(), store.root));
}

#[test]
fn a_broken_store_is_named_and_not_left_out() {
    let (_outer, dir) = made();
    let home = Home::open(&dir).unwrap();
    let store = home.add_store("High Street", gbp(), SecretKey::from_seed([9; 32])).unwrap();
    fs::write(store.dir.join(KEY), "no key").unwrap();
    let folders = home.folders().unwrap();
    let problem = StoreFolder::read(&folders[0]).unwrap_err().to_string();
    assert!(problem.contains("key") && problem.contains("holds no key"), "{problem}");
    assert_eq!(name_in(&folders[0]).as_deref(), Some("High Street"));
    fs::write(store.dir.join(ABOUT), "format = 9\nname = \"High Street\"\n").unwrap();
    assert_eq!(name_in(&folders[0]).as_deref(), Some("High Street"), "a newer one");
    fs::write(store.dir.join(ABOUT), "name = ").unwrap();
    assert_eq!(name_in(&folders[0]), None);
    assert!(home.add_store("a\u{7}", gbp(), SecretKey::from_seed([2; 32])).is_err());
}
