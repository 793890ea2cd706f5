//! Shelf labels: by the hub, for items as they are priced now, on a printer that says nothing.

use std::io::Read;
use std::net::TcpListener;

use toko_devices::label::VirtualLabelPrinter;

use crate::rig::{Hub, ITEMS};

mod run_alone {
    use super::*;

    #[test]
    fn a_label_bears_name_price_and_code_and_an_unknown_item_prints_nothing() {
        prints_in("zpl", VirtualLabelPrinter::zpl);
        prints_in("tspl", VirtualLabelPrinter::tspl);
    }

    fn prints_in(language: &str, read: fn(&mut VirtualLabelPrinter, &[u8])) {
        let dir = tempfile::tempdir().unwrap();
        let printer = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut hub = Hub::found(dir.path(), "hub");
        let address = printer.local_addr().unwrap().to_string();
        hub.kill();
        hub.start_with(&[("TOKO_HUBD_LABELS_ADDRESS", &address), ("TOKO_HUBD_LABELS_LANGUAGE", language)]);
        hub.import(ITEMS);
        let (_, refused) = hub.refuses(&["labels", "print", "71053", "nothing"]);
        assert!(refused.contains("nothing was printed"), "{refused}");
        assert_eq!(hub.ctl(&["labels", "print", "71053", "--copies", "2"])["sent"], 2);
        let (mut session, _) = printer.accept().unwrap();
        let mut job = Vec::new();
        session.read_to_end(&mut job).unwrap();
        let mut paper = VirtualLabelPrinter::default();
        read(&mut paper, &job);
        let [label] = paper.printed.as_slice() else { panic!("{paper:?}") };
        assert_eq!((label.copies, paper.unknown), (2, 0));
        for text in ["WHITE METAL LANTERN", "3.39 GBP"] {
            assert!(label.texts.iter().any(|found| found == text), "{label:?}");
        }
        assert!(label.codes.iter().any(|(_, data)| data == "71053"), "{label:?}");
    }
}
