use super::*;

struct Shop {
    root: SecretKey,
    hub: SecretKey,
    till: SecretKey,
    members: Members,
}

fn shop() -> Shop {
    let [root, hub, till] = [1, 2, 3].map(|seed| SecretKey::from_seed([seed; 32]));
    let mut members = Members::new(root.public());
    let store = *members.store();
    members.add(Statement::sign(&store, &root, Claim::Hub { term: 1, key: hub.public() })).unwrap();
    Shop { root, hub, till, members }
}

fn enrol(shop: &Shop, by: &SecretKey, term: u64) -> Statement {
    let claim = Claim::Terminal { term, key: shop.till.public(), number: 3, name: "Till 3".into() };
    Statement::sign(shop.members.store(), by, claim)
}

#[test]
fn the_hub_enrols_and_a_stranger_does_not() {
    let mut shop = shop();
    assert_eq!(shop.members.add(enrol(&shop, &shop.till, 1)), Err(StatementError::Issuer));
    assert_eq!(
        shop.members.add(enrol(&shop, &shop.hub, 2)),
        Err(StatementError::Issuer),
        "not hub in term 2"
    );
    assert!(!shop.members.is_member(&shop.till.node()));
    assert_eq!(shop.members.add(enrol(&shop, &shop.hub, 1)), Ok(true));
    assert_eq!(shop.members.add(enrol(&shop, &shop.hub, 1)), Ok(false));
    assert_eq!(shop.members.roles(&shop.till.node()).terminal, [(3, "Till 3".into())]);
    assert_eq!(shop.members.key(&shop.till.node()), Some(shop.till.public()));
}

#[test]
fn a_statement_that_its_issuer_did_not_sign_changes_nothing() {
    let mut shop = shop();
    // What a stranger can do: name the hub as issuer, and sign with a key of its own, or copy a signature.
    let named = enrol(&shop, &shop.hub, 1);
    let signed = enrol(&shop, &shop.till, 1);
    for signature in [signed.signature, Signature([7; 64])] {
        let forged = Statement { signature, ..named.clone() };
        assert_eq!(shop.members.add(forged), Err(StatementError::Signature));
    }
    assert!(!shop.members.is_member(&shop.till.node()));
    assert_eq!(shop.members.add(named), Ok(true), "the honest one is taken afterwards");
}

#[test]
fn a_revoked_terminal_is_no_member_and_keeps_its_roles_for_what_it_wrote() {
    let mut shop = shop();
    let store = *shop.members.store();
    shop.members.add(enrol(&shop, &shop.hub, 1)).unwrap();
    let claim = Claim::Revoked { term: 1, node: shop.till.node(), cut: Frontier::default() };
    shop.members.add(Statement::sign(&store, &shop.hub, claim)).unwrap();
    assert!(!shop.members.is_member(&shop.till.node()));
    assert!(shop.members.roles(&shop.till.node()).is_terminal());
}

#[test]
fn a_higher_term_succeeds_and_equal_terms_go_to_the_lower_key() {
    let mut shop = shop();
    let store = *shop.members.store();
    let next = SecretKey::from_seed([9; 32]);
    let claim = Claim::Hub { term: 1, key: next.public() };
    shop.members.add(Statement::sign(&store, &shop.root, claim)).unwrap();
    let lower = shop.hub.public().min(next.public());
    assert_eq!(shop.members.hub(), Some((1, NodeId::of(&lower))));
    let claim = Claim::Hub { term: 2, key: next.public() };
    shop.members.add(Statement::sign(&store, &shop.root, claim)).unwrap();
    assert_eq!(shop.members.hub(), Some((2, next.node())));
}

#[test]
fn statements_read_back_and_order_root_first() {
    let mut shop = shop();
    shop.members.add(enrol(&shop, &shop.hub, 1)).unwrap();
    let mut other = Members::new(shop.root.public());
    for statement in shop.members.statements() {
        let again = Statement::decode(&statement.encode()).unwrap();
        assert_eq!(other.add(again), Ok(true));
    }
    assert_eq!(other.root_hash(), shop.members.root_hash());
}

#[test]
fn a_statement_with_a_control_character_in_a_name_is_refused() {
    let shop = shop();
    let claim = Claim::Terminal { term: 1, key: shop.till.public(), number: 1, name: "a\u{1b}b".into() };
    let statement = Statement::sign(shop.members.store(), &shop.hub, claim);
    assert!(Statement::decode(&statement.encode()).is_err());
}

#[test]
fn what_is_said_of_a_node_adds_up_in_every_order() {
    let shop = shop();
    let store = *shop.members.store();
    let journal = crate::ids::JournalId {
        node: shop.till.node(),
        run: crate::ids::Run(1),
        lane: crate::ids::Lane::Books,
    };
    let revoked = |seq, hash| {
        let head = crate::frontier::Head { seq, hash: Hash([hash; 32]) };
        let cut = [(journal, head)].into_iter().collect();
        Statement::sign(&store, &shop.hub, Claim::Revoked { term: 1, node: shop.till.node(), cut })
    };
    let headquarters = Claim::Headquarters { key: shop.till.public() };
    let said = [
        revoked(4, 1),
        Statement::sign(&store, &shop.root, headquarters),
        revoked(5, 2),
        enrol(&shop, &shop.hub, 1),
        revoked(5, 3),
    ];
    for first in 0..said.len() {
        let mut members = shop.members.clone();
        let (after, before) = said.split_at(first);
        for statement in before.iter().chain(after) {
            assert_eq!(members.add(statement.clone()), Ok(true));
        }
        let node = shop.till.node();
        let roles = members.roles(&node);
        assert!(roles.is_terminal() && roles.headquarters && !roles.is_hub());
        assert_eq!(members.roles_of(&node), &roles);
        let cut = members.revoked(&node).unwrap();
        let head = cut.head(&journal).unwrap();
        assert_eq!((head.seq, head.hash), (5, Hash([3; 32])));
        assert!(!members.is_member(&node) && members.headquarters().is_empty());
        assert_eq!(members.nodes().len(), 2);
    }
    assert_eq!(shop.members.roles(&NodeId([9; 32])), Roles::default());
}
