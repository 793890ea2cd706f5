//! The bytes that are for ever: every op, a line's facts in a cart, and a catalogue's blob, held to the byte.
//!
//! A change here is a change of what shops have on disk and under signatures. Add a variant at the end instead.

#[cfg(test)]
#[path = "golden/samples.rs"]
mod samples;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use toko_crdt::Hash;
    use toko_crdt::hash::hex;
    use toko_crdt::ids::LineId;
    use toko_retail::catalogue::Catalogue;
    use toko_retail::currency::Currency;
    use toko_retail::line::{Discount, PricedLine};
    use toko_retail::money::{Money, Price};
    use toko_retail::ops::{Idem, OpError, OpKind, OpV1};
    use toko_retail::qty::Qty;
    use toko_retail::tax::{TaxGroup, TaxRate};

    use crate::samples::samples;

    /// One line for each kind of op, in the order of their numbers: its name, a space, its bytes.
    const OPS: &str = include_str!("golden/ops.txt");
    const FACTS: &str = include_str!("golden/line_facts.txt");
    const BLOB: &str = include_str!("golden/catalogue.txt");

    #[test]
    fn every_op_keeps_its_bytes() {
        let golden: Vec<(&str, &str)> = OPS.lines().filter_map(|line| line.split_once(' ')).collect();
        let mut wrong = String::new();
        for (at, what) in samples().into_iter().enumerate() {
            let op = OpV1::new(what);
            op.check_shape().unwrap();
            assert_eq!(op.what.kind(), OpKind::ALL[at], "one sample for each kind, in order");
            let (name, bytes) = (format!("{:?}", op.what.kind()), hex(&op.encode()));
            if golden.get(at) != Some(&(name.as_str(), bytes.as_str())) {
                wrong.push_str(&format!("{name} {bytes}\n"));
            }
            assert_eq!(OpV1::decode(&op.encode()).unwrap(), op);
        }
        assert!(wrong.is_empty(), "these are other bytes than those that are fixed:\n{wrong}");
        assert_eq!(golden.len(), OpKind::ALL.len());
    }

    #[test]
    fn an_idempotency_key_stands_in_front() {
        let what = samples().pop().unwrap();
        let op = OpV1 { idem: Some(Idem { key: [0xaa; 16], request: [0xbb; 16] }), what };
        let expected = format!("0101{}{}11", "aa".repeat(16), "bb".repeat(16));
        assert!(hex(&op.encode()).starts_with(&expected));
        assert_eq!(OpKind::peek(&op.encode()), Some(OpKind::DrawerSeen));
        assert_eq!(OpV1::decode(&op.encode()).unwrap(), op);
    }

    #[test]
    fn newer_and_broken_bytes_are_told_apart() {
        let bytes = OpV1::new(samples().remove(1)).encode();
        let newer = [&[2], &bytes[1..]].concat();
        assert_eq!(OpV1::decode(&newer), Err(OpError::Newer(2)));
        assert_eq!(OpV1::decode(&[1, 0, 18, 0]), Err(OpError::Newer(1)), "a kind behind the last one");
        let longer = [&bytes[..], &[0]].concat();
        assert!(matches!(OpV1::decode(&longer), Err(OpError::Codec(_))));
        for cut in 0..bytes.len() {
            assert!(OpV1::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn a_cart_line_keeps_its_bytes() {
        let gbp = Currency::parse("GBP").unwrap();
        let price = Price::parse("2.55", gbp).unwrap();
        let line = PricedLine::unknown("85123A", "LANTERN", Qty::ONE, price, "tag");
        let mut line = line.at_price(Price::parse("2.5", gbp).unwrap(), "dented");
        line.bundle = Some(Hash([7; 32]));
        line.discounts.push(Discount {
            name: "off".into(),
            reference: "p1".into(),
            amount: Money::minor(5, gbp),
        });
        let rates = vec![TaxRate::part("PPN", "12", 11, 12).unwrap()];
        line.tax = Some(Arc::new(TaxGroup::new("P", false, rates).unwrap()));
        line.memo = "gift".into();
        assert_eq!(hex(&line.facts()), FACTS.trim());
        let again = PricedLine::from_facts(LineId([1; 16]), Qty::ONE, &line.facts()).unwrap();
        assert_eq!(again, PricedLine { line: Some(LineId([1; 16])), ..line });
    }

    #[test]
    fn a_catalogue_keeps_its_bytes() {
        let taxes = [TaxGroup::new("S", true, vec![TaxRate::percent("VAT", "20").unwrap()]).unwrap()];
        let csv = b"sku,name,price,codes,tax,unit,decimals,service\n\
            85123A,LANTERN,2.55,5901234123457|own:LAMP|plu:4011,S,pc,0,no\nPOST,Postage,18,,,,,yes\n";
        let catalogue = Catalogue::import(csv, Currency::parse("GBP").unwrap(), &taxes).unwrap();
        assert_eq!(hex(&catalogue.encode()), BLOB.trim());
        assert_eq!(catalogue.bundle(), toko_crdt::book::blob_hash(&catalogue.encode()));
    }
}
