//! Codes that do not let a machine in, each with its own words and exit code, and nothing left behind.

use std::path::Path;

use toko_mesh::enrol::{Code, CodeKind};

use crate::rig::{Hub, Till, refused, text};

mod run_alone {
    use super::*;

    #[test]
    fn a_mistyped_code_is_told_without_any_network() {
        let dir = tempfile::tempdir().unwrap();
        // No hub anywhere, and an address that nobody can have: it is not even looked at.
        let enrol = |code: &str| {
            let data = dir.path().join("till");
            let said =
                refused(&["terminal-agent", "enrol", code, "--hub", "no.such.host", "--data", text(&data)]);
            assert!(!data.exists());
            said
        };
        let code = Code { kind: CodeKind::Enrol, fingerprint: [7; 10], secret: [9; 10] }.to_string();
        let typed =
            if code.starts_with('0') { code.replacen('0', "1", 1) } else { format!("0{}", &code[1..]) };
        for (code, words) in [
            (typed.as_str(), "the code is mistyped"),
            (&code[..code.len() - 1], "characters where it should have"),
            (&code.replacen('-', "!", 1), "is in no code"),
            (
                &Code { kind: CodeKind::JoinHq, fingerprint: [7; 10], secret: [9; 10] }.to_string(),
                "headquarters",
            ),
        ] {
            let (exit, said) = enrol(code);
            assert!(
                exit == 64 && said.contains("the code cannot be right") && said.contains(words),
                "{exit} {said}"
            );
        }
    }

    #[test]
    fn wrong_used_and_forgotten_codes_let_nobody_in_and_say_so() {
        let dir = tempfile::tempdir().unwrap();
        let mut hub = Hub::found(dir.path(), "hub");
        let try_at = |hub: &Hub, name: &str, code: &str| enrol_refused(dir.path(), hub, name, code);

        let code = hub.code("Till 1");
        let (exit, said) = try_at(&hub, "wrong", &guess(&code, 0));
        assert!(exit == 76 && said.contains("the code is wrong"), "{exit} {said}");
        enrol(dir.path(), &hub, "Till 1", &code);
        let (exit, said) = try_at(&hub, "used", &code);
        assert!(exit == 76 && said.contains("was used already"), "{exit} {said}");

        // Codes are kept in memory only, so a hub that starts again has none outstanding.
        let code = hub.code("Till 2");
        hub.kill();
        hub.start();
        let (exit, said) = try_at(&hub, "forgotten", &code);
        assert!(exit == 76 && said.contains("no code is outstanding there"), "{exit} {said}");

        let other = Hub::found(dir.path(), "other hub");
        let code = hub.code("Till 3");
        drop(other.code("Till 3"));
        let (exit, said) = try_at(&other, "other", &code);
        assert!(exit == 76, "{exit} {said}");
        enrol(dir.path(), &hub, "Till 3", &code);
        let names: Vec<_> = hub.ctl(&["terminals"])["terminals"].as_array().unwrap().to_vec();
        assert_eq!(names.len(), 2, "{names:?}");
    }

    #[test]
    fn five_wrong_tries_spend_a_code() {
        let dir = tempfile::tempdir().unwrap();
        let hub = Hub::found(dir.path(), "hub");
        let code = hub.code("Till 1");
        for at in 0..5 {
            let (exit, said) = enrol_refused(dir.path(), &hub, &format!("guess {at}"), &guess(&code, at));
            assert!(exit == 76 && said.contains("the code is wrong"), "{exit} {said}");
        }
        let (exit, said) = enrol_refused(dir.path(), &hub, "shut", &code);
        assert!(exit == 76 && said.contains("too many wrong ones were tried"), "{exit} {said}");
        // The next code opens the door again, and not for the spent one.
        let fresh = hub.code("Till 1");
        let (exit, said) = enrol_refused(dir.path(), &hub, "spent", &code);
        assert!(exit == 76 && said.contains("too many wrong codes were tried"), "{exit} {said}");
        enrol(dir.path(), &hub, "Till 1", &fresh);
    }

    #[test]
    fn a_hub_that_is_not_there_is_the_other_sides_fault() {
        let dir = tempfile::tempdir().unwrap();
        let mut hub = Hub::found(dir.path(), "hub");
        let code = hub.code("Till 1");
        hub.kill();
        let (exit, said) = enrol_refused(dir.path(), &hub, "till", &code);
        let at = hub.listen.to_string();
        assert!(exit == 76 && said.contains(&at), "{exit} {said}");
    }
}

fn enrol(dir: &Path, hub: &Hub, name: &str, code: &str) {
    Till::enrol_with(dir, &dir.join(name), hub, name, code);
}

/// Tries to enrol with a code that must not do. No directory is made.
fn enrol_refused(dir: &Path, hub: &Hub, name: &str, code: &str) -> (i32, String) {
    let (data, at) = (dir.join(name), hub.listen.to_string());
    let said = refused(&["terminal-agent", "enrol", code, "--hub", &at, "--data", text(&data)]);
    assert!(!data.exists(), "{said:?}");
    said
}

/// A sound code of the same store with another secret.
fn guess(code: &str, at: u8) -> String {
    let mut code = Code::parse(CodeKind::Enrol, code).unwrap();
    code.secret[0] ^= 1 + at;
    code.to_string()
}
