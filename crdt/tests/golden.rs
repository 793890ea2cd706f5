//! The exact bytes of everything that crdt stores, signs or sends.
//!
//! How to read a failure: the code now writes other bytes than the shops' disks hold and their signatures cover. That is a new
//! format, not a new golden value: give it a version byte of its own, keep reading the old one, and add its bytes below.
//! Only what was never shipped may be replaced here. A round trip cannot see any of this.

use toko_crdt::Entry;
use toko_crdt::body::{Admission, Body, CartChange, Continued, Idem};
use toko_crdt::cart::{Actor, Cart, change_hash, change_head};
use toko_crdt::clock::{Hlc, UnixMicros};
use toko_crdt::digest::{Digest, Digests};
use toko_crdt::entry::{Draft, Saw};
use toko_crdt::frontier::{Frontier, Head};
use toko_crdt::hash::{Hash, hex};
use toko_crdt::ids::*;
use toko_crdt::journal::ForkProof;
use toko_crdt::member::{Claim, Members, Statement};
use toko_crdt::seal::Seal;
use toko_crdt::settling::Settling;
use toko_crdt::sign::SecretKey;
use toko_crdt::stock::Milli;

fn root() -> SecretKey {
    SecretKey::from_seed([1; 32])
}

fn till() -> SecretKey {
    SecretKey::from_seed([2; 32])
}

fn store() -> StoreId {
    StoreId::of(&root().public())
}

fn journal(lane: Lane) -> JournalId {
    JournalId { node: till().node(), run: Run(0x0102_0304_0506_0708), lane }
}

fn frontier() -> Frontier {
    let head = |seq, hash| Head { seq, hash: Hash([hash; 32]) };
    [(journal(Lane::Books), head(300, 0xaa)), (journal(Lane::Floor), head(1, 0xbb))].into_iter().collect()
}

fn entry(seq: u64, saw: Option<Saw>, body: &Body) -> Entry {
    let prev = if seq == 1 { Hash::ZERO } else { Hash([0xcc; 32]) };
    let at = Hlc { micros: 1_800_000_000_000_000, tick: 513 };
    Draft { journal: journal(Lane::Books), seq, prev, at, saw, body: body.encode() }.sign(&store(), &till())
}

fn op() -> Body {
    Body::Op(vec![1, 2, 3])
}

fn statement(claim: Claim) -> Statement {
    Statement::sign(&store(), &root(), claim)
}

fn terminal() -> Claim {
    Claim::Terminal { term: 1, key: till().public(), number: 3, name: "Kasse 3 ✓".to_owned() }
}

fn digests() -> Digests {
    let mut digests = Digests::default();
    digests.change(&[0x10, 1], None, Some(b"one"));
    digests.change(&[0x10, 2], None, Some(b"two"));
    digests.change(&[0x50, 1], None, Some(b"floor"));
    digests.change(&[0x90, 1], None, Some(b"local"));
    digests
}

/// A cart with one line, and the changes that made it, moved it and emptied it.
#[expect(clippy::unwrap_used, reason = "only tests call it")]
fn changes() -> Vec<Vec<u8>> {
    let actor = Actor::of(&till().node(), Run(7));
    let mut cart = Cart::open(CartId([3; 16]), actor, [[0u8; 0]; 0]).unwrap();
    let line = LineId([4; 16]);
    let at = Hlc { micros: 1_800_000_000_000_000, tick: 2 };
    vec![
        cart.add_line(line, at, b"facts of the shop", StepId([5; 16]), Milli(1_250)).unwrap().unwrap(),
        cart.step(line, StepId([6; 16]), Milli(-250)).unwrap().unwrap(),
        cart.set("customer", b"17").unwrap().unwrap(),
        cart.remove(line).unwrap().unwrap(),
    ]
}

#[track_caller]
fn same(what: &str, bytes: impl AsRef<[u8]>, golden: &str) {
    let bytes = hex(bytes.as_ref());
    assert!(bytes == golden, "{what} is now\n{bytes}\nand was\n{golden}");
}

#[test]
fn ids_and_hashes_are_as_ever() {
    same(
        "the store of a root key",
        store().0,
        "feb9c82b16feb0a222b481d73aaebe8c0bd2e258db6112dade2290174bd58744",
    );
    same(
        "the node of a key",
        till().node().0,
        "485b8504ad0d06952c6b29a71282742aec67521ad63504296c49d1bf5f680aa7",
    );
    same(
        "a journal's id",
        journal(Lane::Floor).to_bytes(),
        "485b8504ad0d06952c6b29a71282742aec67521ad63504296c49d1bf5f680aa7010203040506070802",
    );
    same(
        "a place",
        EntryRef { journal: journal(Lane::Books), seq: 300 }.to_bytes(),
        "485b8504ad0d06952c6b29a71282742aec67521ad63504296c49d1bf5f680aa701020304050607080100000000000001\
         2c",
    );
    same("a cart's actor", Actor::of(&till().node(), Run(7)).0, "c7aa8625b16461f345e25e8d5cf345d2");
    same(
        "the hash of a blob",
        toko_crdt::book::blob_hash(b"blob").0,
        "1874d643918ae3f0fdb100880f94acad47d6b930b90297735fc29c40a5e079b3",
    );
    same(
        "a signature",
        till().sign("toko/test", b"message").0,
        "5bf7f7cc71d41618d5a11ded5604469b32a6bab0a6158e302652732c339904cd7a3c0416ff5be57236715c538868838b\
         5ae89e33f115950a22a940a27401b700",
    );
}

#[test]
fn entries_are_as_ever() {
    same(
        "an entry that saw nothing in particular",
        entry(1, None, &Body::first()).encode(),
        "01485b8504ad0d06952c6b29a71282742aec67521ad63504296c49d1bf5f680aa7888e98a8c0e0808101010100000000\
         000000000000000000000000000000000000000000000000000000008080e2c4f2a299038104000003010100e33d996f\
         67c0442b7585ececf52773e19bff6d52e03af55f67531fb31025f9f7883a6e7617f545809e11566c4766efed2b2d6603\
         acd061a561e504d289e1cb0c",
    );
    same(
        "its hash",
        entry(1, None, &Body::first()).hash().0,
        "65de4aaaae9cfba9e701676124a43748e926b3f72d5ba659b576689171ea9777",
    );
    same(
        "an entry that saw a frontier",
        entry(300, Some(Saw::Frontier(Hash([0xdd; 32]))), &op()).encode(),
        "01485b8504ad0d06952c6b29a71282742aec67521ad63504296c49d1bf5f680aa7888e98a8c0e080810101ac02cccccc\
         cccccccccccccccccccccccccccccccccccccccccccccccccccccccccc8080e2c4f2a2990381040100dddddddddddddd\
         dddddddddddddddddddddddddddddddddddddddddddddddddd00044001020381a3690395698cc41b852830ca64ea309c\
         e343de33c307787da474b0fe527becc117925ac90b882e597e8a03a11a51360115b50a4f89bfd7688a716ce32e1905",
    );
    same(
        "its hash",
        entry(300, Some(Saw::Frontier(Hash([0xdd; 32]))), &op()).hash().0,
        "c4a402f220ea9112e9f7d8918de91212ecd84a463b23fd1e66cee8bff9d27c84",
    );
    same(
        "an entry that saw entries",
        entry(2, Some(Saw::Entries(vec![Hash([1; 32]), Hash([2; 32])])), &op()).encode(),
        "01485b8504ad0d06952c6b29a71282742aec67521ad63504296c49d1bf5f680aa7888e98a8c0e08081010102cccccccc\
         cccccccccccccccccccccccccccccccccccccccccccccccccccccccc8080e2c4f2a29903810401010201010101010101\
         010101010101010101010101010101010101010101010101010202020202020202020202020202020202020202020202\
         020202020202020202000440010203ef6751ec45aa17c40caf0dcff558210901453eca23b4cb5f9b4b2384d1a14a7d89\
         afb12881456c8d6279c12e29283048fbaa607c78adb0c041620c0aaa57cf0c",
    );
    same(
        "its hash",
        entry(2, Some(Saw::Entries(vec![Hash([1; 32]), Hash([2; 32])])), &op()).hash().0,
        "a988b59a83a973405d5b3b959e56eb9274fb3cfa8037bbd6ec94b77f1a84b194",
    );
    same(
        "a pruned entry",
        entry(2, None, &op()).pruned().encode(),
        "01485b8504ad0d06952c6b29a71282742aec67521ad63504296c49d1bf5f680aa7888e98a8c0e08081010102cccccccc\
         cccccccccccccccccccccccccccccccccccccccccccccccccccccccc8080e2c4f2a2990381040001eb4377ac0e0e0d7a\
         c250a26ae83327ee4c6019150a38471378b6e5d2326bef862c0f8782fcda1cba2d935fbdf981171d16de3994a162c1b9\
         b06790158b5d501bf9f424918903fddeb65623f3d2a28f7e8b7fbcf1d310594bf55487aae1cee304",
    );
    same(
        "its hash",
        entry(2, None, &op()).pruned().hash().0,
        "c1addf1499a147f9b82e561bdb210d1461388beedef5947af8cf5c65ed26606e",
    );
}

#[test]
fn bodies_are_as_ever() {
    same("the first run's beginning", Body::first().encode(), "010100");
    same(
        "a later run's beginning",
        Body::Continues(Some(Continued { run: Run(300), head: Head { seq: 9, hash: Hash([9; 32]) } }))
            .encode(),
        "010101ac02090909090909090909090909090909090909090909090909090909090909090909",
    );
    same(
        "a carried entry",
        Body::Carried(Box::new(entry(2, None, &op()))).encode(),
        "02019d0101485b8504ad0d06952c6b29a71282742aec67521ad63504296c49d1bf5f680aa7888e98a8c0e08081010102\
         cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc8080e2c4f2a299038104000004400102\
         032c0f8782fcda1cba2d935fbdf981171d16de3994a162c1b9b06790158b5d501bf9f424918903fddeb65623f3d2a28f\
         7e8b7fbcf1d310594bf55487aae1cee304",
    );
    same(
        "a fork proof",
        Body::Fork(Box::new(
            ForkProof::new(entry(2, None, &op()), entry(2, None, &Body::Op(vec![4]))).unwrap(),
        ))
        .encode(),
        "0301b80101485b8504ad0d06952c6b29a71282742aec67521ad63504296c49d1bf5f680aa7888e98a8c0e08081010102\
         cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc8080e2c4f2a299038104000159244928\
         3adf260d37cb6835e8acac09a1f12dd4b989b7ceb04bb6a8941240d1f5f4fd0a7be46f69be1cd6eac6037c2102634d17\
         8af9079d06a627195c8e79fca737c956ec5d20e3fece0f580c58d9192fc90ace22ff62b5bea043a8767e8902b8010148\
         5b8504ad0d06952c6b29a71282742aec67521ad63504296c49d1bf5f680aa7888e98a8c0e08081010102cccccccccccc\
         cccccccccccccccccccccccccccccccccccccccccccccccccccc8080e2c4f2a2990381040001eb4377ac0e0e0d7ac250\
         a26ae83327ee4c6019150a38471378b6e5d2326bef862c0f8782fcda1cba2d935fbdf981171d16de3994a162c1b9b067\
         90158b5d501bf9f424918903fddeb65623f3d2a28f7e8b7fbcf1d310594bf55487aae1cee304",
    );
    same(
        "a member statement",
        Body::Member(statement(terminal())).encode(),
        "0401b00101feb9c82b16feb0a222b481d73aaebe8c0bd2e258db6112dade2290174bd587448a88e3dd7409f195fd52db\
         2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c02018139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25d\
         f60f5b8fc9b394030b4b61737365203320e29c937fa8a69830ddb2ed9f5af38a63282d55f26ed7210526f7569eb63d8b\
         d8083b6a1df608215864c178e637d2797018ef224e63cc00f5906fd922b0f2290402e00e",
    );
    same(
        "a watermark",
        Body::Watermark(frontier()).encode(),
        "050199010102485b8504ad0d06952c6b29a71282742aec67521ad63504296c49d1bf5f680aa7888e98a8c0e080810101\
         ac02aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa485b8504ad0d06952c6b29a71282\
         742aec67521ad63504296c49d1bf5f680aa7888e98a8c0e08081010201bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\
         bbbbbbbbbbbbbbbbbbbbbbbbbb",
    );
    same(
        "a seal",
        Body::Seal(Seal::whole(300, frontier(), digests())).encode(),
        "0601ac0299010102485b8504ad0d06952c6b29a71282742aec67521ad63504296c49d1bf5f680aa7888e98a8c0e08081\
         0101ac02aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa485b8504ad0d06952c6b29a7\
         1282742aec67521ad63504296c49d1bf5f680aa7888e98a8c0e08081010201bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\
         bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb77b6100204bdae417cfa3aaec71e77aea385f2efe20740b89d3a1154b9746e952c\
         4ae67590322b4fac7be4690877b374afebed51e118067cc203f744a79d36a3",
    );
    same(
        "a seal over another",
        Body::Seal(Seal::whole(300, frontier(), digests()).over(Hash([0xcc; 32]), &Frontier::default()))
            .encode(),
        "0602ac02cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc99010102485b8504ad0d0695\
         2c6b29a71282742aec67521ad63504296c49d1bf5f680aa7888e98a8c0e080810101ac02aaaaaaaaaaaaaaaaaaaaaaaa\
         aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa485b8504ad0d06952c6b29a71282742aec67521ad63504296c49d1bf\
         5f680aa7888e98a8c0e08081010201bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbad\
         02978752f6a0d3f54adbc8a2313f11a3cee50c6a08b2f15ee6755cdace7becde422c1f98e13b8b5bb06a12ba73977c22\
         3e1cc2e704b9beadef4b269cd7b73e5ebe77b6100204bdae417cfa3aaec71e77aea385f2efe20740b89d3a1154b9746e\
         952c4ae67590322b4fac7be4690877b374afebed51e118067cc203f744a79d36a3",
    );
    same(
        "an admission",
        Body::Admitted(Admission { effect: EffectId([0xdd; 32]), why: "ok ✓".to_owned() }).encode(),
        "0701dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd066f6b20e29c93",
    );
    let made = CartId::made(UnixMicros(1_700_000_000_123_456), [3; 16]);
    same("a cart's id", made.0, "018bcfe5687b03030303030303030303");
    same(
        "a settling",
        Body::Settled(Settling::new(UnixMicros(1_800_000_000_000_000), [made]).unwrap()).encode(),
        "08018080c489e5c5b20601018bcfe5687b03030303030303030303",
    );
    same(
        "a cart change",
        Body::Cart(CartChange { cart: CartId([3; 16]), change: vec![1, 2, 3], idem: None }).encode(),
        "2001030303030303030303030303030303030301020300",
    );
    same(
        "a cart change of a command",
        Body::Cart(CartChange {
            cart: CartId([3; 16]),
            change: vec![1],
            idem: Some(Idem { key: [7; 16], request: [8; 16] }),
        })
        .encode(),
        "200103030303030303030303030303030303010101070707070707070707070707070707070808080808080808080808\
         0808080808",
    );
    same("an op", op().encode(), "40010203");
    same("a body of a later family", Body::Unknown(vec![0x7f, 1, 5]).encode(), "7f0105");
}

#[test]
fn frontiers_are_as_ever() {
    same(
        "a frontier",
        frontier().encode(),
        "0102485b8504ad0d06952c6b29a71282742aec67521ad63504296c49d1bf5f680aa7888e98a8c0e080810101ac02aaaa\
         aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa485b8504ad0d06952c6b29a71282742aec67\
         521ad63504296c49d1bf5f680aa7888e98a8c0e08081010201bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\
         bbbbbbbbbbbbbbbbbb",
    );
    same("its root", frontier().root().0, "978752f6a0d3f54adbc8a2313f11a3cee50c6a08b2f15ee6755cdace7becde42");
    same("the empty frontier", Frontier::default().encode(), "0100");
    same(
        "its root",
        Frontier::default().root().0,
        "a582439d0e23f4db7666707d37ea9327b0c2585fa361ff4273119b28a60d91f9",
    );
}

#[test]
fn statements_are_as_ever() {
    same(
        "who is hub",
        statement(Claim::Hub { term: 300, key: till().public() }).encode(),
        "01feb9c82b16feb0a222b481d73aaebe8c0bd2e258db6112dade2290174bd587448a88e3dd7409f195fd52db2d3cba5d\
         72ca6709bf1d94121bf3748801b40f6f5c00ac028139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b\
         8fc9b394dec20733ab242db8f9096776f87608955554dbda6118f41c5e22e1315241577dcbd9b68bf395031fc9c4a630\
         d97711f077b50777eebfae70a038cbd92e8afd0d",
    );
    same(
        "who is headquarters",
        statement(Claim::Headquarters { key: till().public() }).encode(),
        "01feb9c82b16feb0a222b481d73aaebe8c0bd2e258db6112dade2290174bd587448a88e3dd7409f195fd52db2d3cba5d\
         72ca6709bf1d94121bf3748801b40f6f5c018139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9\
         b394f6b21f4aa9719f0ab5a9058e5cb37f7ece8ad52c25ec602204d50ca9aa2bea38131d848902324cad5b3d6c4c4907\
         b8b90ab84dd470a4d87d69bc972b2e20b90b",
    );
    same(
        "who is a terminal",
        statement(terminal()).encode(),
        "01feb9c82b16feb0a222b481d73aaebe8c0bd2e258db6112dade2290174bd587448a88e3dd7409f195fd52db2d3cba5d\
         72ca6709bf1d94121bf3748801b40f6f5c02018139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8f\
         c9b394030b4b61737365203320e29c937fa8a69830ddb2ed9f5af38a63282d55f26ed7210526f7569eb63d8bd8083b6a\
         1df608215864c178e637d2797018ef224e63cc00f5906fd922b0f2290402e00e",
    );
    same(
        "who is out",
        statement(Claim::Revoked { term: 2, node: till().node(), cut: frontier() }).encode(),
        "01feb9c82b16feb0a222b481d73aaebe8c0bd2e258db6112dade2290174bd587448a88e3dd7409f195fd52db2d3cba5d\
         72ca6709bf1d94121bf3748801b40f6f5c0302485b8504ad0d06952c6b29a71282742aec67521ad63504296c49d1bf5f\
         680aa799010102485b8504ad0d06952c6b29a71282742aec67521ad63504296c49d1bf5f680aa7888e98a8c0e0808101\
         01ac02aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa485b8504ad0d06952c6b29a712\
         82742aec67521ad63504296c49d1bf5f680aa7888e98a8c0e08081010201bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\
         bbbbbbbbbbbbbbbbbbbbbbbbbbbb57976b6e0b56655d7b89748e5d8ac777794930f4dea2e5367565b29ef1f3738324b7\
         d07a6628090e6e1206c39a915647861a6537ae67830bd8c309542b535f01",
    );
    same(
        "a statement's hash",
        statement(terminal()).hash().0,
        "7b040f5a1a6c9c9eee9f7b7064dbdaf96a7ff0c515fc223f76e1d6d9ac7cd848",
    );
    same(
        "the empty set's hash",
        Members::new(root().public()).root_hash().0,
        "7f9f86d48ebbcb3a49606bbf3af45e00c50c35a53e8188276970af14a877e3a8",
    );
}

#[test]
fn digests_of_given_rows_are_as_ever() {
    same("the books", digests().books.0, "77b6100204bdae417cfa3aaec71e77aea385f2efe20740b89d3a1154b9746e95");
    same("the floor", digests().floor.0, "2c4ae67590322b4fac7be4690877b374afebed51e118067cc203f744a79d36a3");
    same("no row", Digest::default().0, "0000000000000000000000000000000000000000000000000000000000000000");
}

#[test]
fn cart_changes_are_as_ever() {
    same(
        "the hash of the genesis",
        change_head(&changes()[0]).unwrap().deps[0].0,
        "44190ac34b4fb907373b5e44a8979d948267078c31d6fc24dc2f6cf5a3583463",
    );
    same(
        "a line",
        &changes()[0],
        "856f4a8310c914c201e8010144190ac34b4fb907373b5e44a8979d948267078c31d6fc24dc2f6cf5a358346310c7aa86\
         25b16461f345e25e8d5cf345d2010400000110f4085476d391d9cdf871e95fc1155a7208010202031564340142025604\
         571d700202017e01027e2030343034303430343034303430343034303430343034303430343034303430344130343034\
         303430343034303430343034303430343034303430343034303430342f30353035303530353035303530353035303530\
         353035303530353035303530350202017eb70324000665172898800000026661637473206f66207468652073686f70e2\
         090200",
    );
    same(
        "its hash",
        change_hash(&changes()[0]).unwrap().0,
        "10c914c2ca1d4900002649103c026b97e01e3a67baf5e9207ab1bc760b5a7baa",
    );
    same(
        "a step",
        &changes()[1],
        "856f4a83fa212c7b01a9010110c914c2ca1d4900002649103c026b97e01e3a67baf5e9207ab1bc760b5a7baa10c7aa86\
         25b16461f345e25e8d5cf345d2020600000110f4085476d391d9cdf871e95fc1155a7208010202021543340142025602\
         570270027f017f027f4130343034303430343034303430343034303430343034303430343034303430342f3036303630\
         363036303630363036303630363036303630363036303630363036017f017f24867e7f00",
    );
    same(
        "a register",
        &changes()[2],
        "856f4a83a078f224017001fa212c7b413e4e99280bf2c3d798247b32dc7091f0058cd63bdf83c25c5b4faf10c7aa8625\
         b16461f345e25e8d5cf345d2030700000110f4085476d391d9cdf871e95fc1155a720801020202150a34014202560257\
         0270027f017f037f08637573746f6d6572017f017f2731377f00",
    );
    same(
        "a removal",
        &changes()[3],
        "856f4a8378096e3401f10101a078f22451c11fc7ce451ef304d22691619b7b6dcc5c8962afa635c3916280ac10c7aa86\
         25b16461f345e25e8d5cf345d2040800000110f4085476d391d9cdf871e95fc1155a7209010202021585013401420256\
         02700271027303020102027e4130343034303430343034303430343034303430343034303430343034303430342f3035\
         303530353035303530353035303530353035303530353035303530353035413034303430343034303430343034303430\
         3430343034303430343034303430342f3036303630363036303630363036303630363036303630363036303630363036\
         0202030200020102007e0501",
    );
}
