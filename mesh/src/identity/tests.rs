use super::*;

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

fn create(path: &Path) -> Result<DataDir, CreateDirError> {
    DataDir::create(path, key(1).public(), key(2), Role::Terminal, UnixMicros(17))
}

fn refusal(path: &Path) -> OpenDirError {
    DataDir::open(path, Role::Terminal).unwrap_err()
}

#[test]
fn a_directory_that_was_made_opens_as_what_it_was_made() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("till");
    let made = create(&path).unwrap().sentinel().clone();
    let dir = DataDir::open(&path, Role::Terminal).unwrap();
    assert_eq!(dir.sentinel(), &made);
    assert_eq!((dir.key().node(), made.store()), (key(2).node(), StoreId::of(&key(1).public())));
    assert!(dir.journal_disk().is_ok());
    let mode = std::fs::metadata(path.join(KEY_FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "nobody else reads the key");
}

#[test]
fn the_file_store_never_changes_its_form() {
    let sentinel = Sentinel {
        root: PublicKey([0xab; 32]),
        node: NodeId([0xcd; 32]),
        role: Role::Headquarters,
        created: UnixMicros(-5),
    };
    let text = sentinel.to_text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "toko-store 1");
    assert_eq!(lines[2], format!("root {}", "ab".repeat(32)));
    assert_eq!(lines[3], format!("node {}", "cd".repeat(32)));
    assert_eq!(lines[4..], ["role headquarters", "created -5"]);
    assert!(Sentinel::parse(&text).is_ok_and(|read| read == sentinel));
}

#[test]
fn two_processes_never_open_one_directory() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("till");
    let made = create(&path).unwrap();
    assert!(matches!(refusal(&path), OpenDirError::Locked { .. }));
    drop(made);
    assert!(DataDir::open(&path, Role::Terminal).is_ok());
}

#[test]
fn a_directory_that_was_closed_is_free_although_a_forked_child_still_has_its_lock_open() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("till");
    let made = create(&path).unwrap();
    // What a child has between its fork and its own program: the same open file.
    let Held::Locked(lock) = &made.held else { panic!("it is a directory of this machine") };
    let inherited = lock.try_clone().unwrap();
    drop(made);
    assert!(DataDir::open(&path, Role::Terminal).is_ok());
    drop(inherited);
}

#[test]
fn a_missing_an_empty_and_a_foreign_directory_are_refused_and_named() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("till");
    assert!(matches!(refusal(&path), OpenDirError::Nothing { what: "missing", .. }));
    std::fs::create_dir(&path).unwrap();
    std::fs::create_dir(path.join("lost+found")).unwrap();
    assert!(matches!(refusal(&path), OpenDirError::Nothing { what: "empty", .. }));
    std::fs::write(path.join("letter.txt"), "").unwrap();
    let error = refusal(&path);
    assert!(matches!(&error, OpenDirError::Foreign { example, .. } if example == "letter.txt"), "{error}");
    assert!(matches!(create(&path), Err(CreateDirError::Occupied { .. })));
    assert_eq!(std::fs::read_dir(&path).unwrap().count(), 2, "nothing was changed");
}

#[test]
fn a_directory_whose_making_was_cut_short_is_told_from_one_that_lost_its_sentinel() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("till");
    drop(create(&path).unwrap());
    std::fs::rename(path.join(STORE_FILE), path.join("STORE.new")).unwrap();
    assert!(matches!(refusal(&path), OpenDirError::HalfMade { .. }));
    std::fs::write(path.join(JOURNAL_DIR).join("log-00000001.seg"), "sales").unwrap();
    assert!(matches!(refusal(&path), OpenDirError::Damaged { .. }));
}

#[test]
fn a_lost_or_swapped_key_a_lost_journal_and_damaged_text_are_refused() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("till");
    drop(create(&path).unwrap());
    let key_file = path.join(KEY_FILE);
    let (seed, text) = (std::fs::read(&key_file).unwrap(), std::fs::read(path.join(STORE_FILE)).unwrap());
    for bad in [vec![], vec![9; 31], vec![9; 32]] {
        std::fs::write(&key_file, bad).unwrap();
        assert!(matches!(refusal(&path), OpenDirError::Damaged { .. }));
    }
    std::fs::remove_file(&key_file).unwrap();
    assert!(matches!(refusal(&path), OpenDirError::Damaged { .. }));
    std::fs::write(&key_file, seed).unwrap();
    for cut in 0..text.len() - 2 {
        std::fs::write(path.join(STORE_FILE), &text[..cut]).unwrap();
        assert!(!matches!(refusal(&path), OpenDirError::Io { .. }), "cut at {cut}");
    }
    std::fs::write(path.join(STORE_FILE), "toko-store 2\n").unwrap();
    assert!(matches!(refusal(&path), OpenDirError::Newer { .. }));
    std::fs::write(path.join(STORE_FILE), &text).unwrap();
    std::fs::remove_dir(path.join(JOURNAL_DIR)).unwrap();
    assert!(matches!(refusal(&path), OpenDirError::Damaged { .. }));
}

#[test]
fn another_kind_of_node_is_refused() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("till");
    drop(create(&path).unwrap());
    let error = DataDir::open(&path, Role::Hub).unwrap_err();
    assert!(
        matches!(error, OpenDirError::OtherRole { found: Role::Terminal, wanted: Role::Hub, .. }),
        "{error}"
    );
}
