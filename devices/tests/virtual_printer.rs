//! The program `virtual-printer` as others start it: its first line, its paper, its exit codes.

/// Real processes; a runner may serialise them by this name.
mod run_alone {
    use std::fs;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpStream;
    use std::path::Path;
    use std::process::{Child, Command, Output, Stdio};

    use toko_devices::virtual_printer::logged;

    fn program() -> Command {
        Command::new(env!("CARGO_BIN_EXE_virtual-printer"))
    }

    fn said(output: &Output) -> (Option<i32>, String) {
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Starts it on any port; answers it and where it listens.
    fn start(out: &Path) -> (Child, BufReader<std::process::ChildStdout>, String) {
        let mut child = program()
            .args(["--listen", "127.0.0.1:0", "--out"])
            .arg(out)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program");
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a first line");
        let address = line.trim().strip_prefix("listening on ").expect("an address").to_owned();
        (child, stdout, address)
    }

    #[test]
    fn it_prints_to_files_and_a_term_signal_ends_it_quietly() {
        let dir = tempfile::tempdir().unwrap();
        let (mut child, mut stdout, address) = start(dir.path());
        let mut host = TcpStream::connect(&address).unwrap();
        host.write_all(b"POSSIBLE DUPLICATE\nTin 1.20\nJob 0123-ab\n\x1dVB\x00\x1d(H\x06\x0000wxyz").unwrap();
        let mut echo = [0; 7];
        host.read_exact(&mut echo).unwrap();
        assert_eq!(&echo, b"\x37\x22wxyz\x00");

        let paper = fs::read_to_string(dir.path().join("paper/00001.txt")).unwrap();
        assert_eq!(paper, "POSSIBLE DUPLICATE\nTin 1.20\nJob 0123-ab\n");
        let log = logged(dir.path()).unwrap();
        assert_eq!(
            (log.len(), log[0].n, log[0].job.as_deref(), log[0].marked),
            (1, 1, Some("0123-ab"), true)
        );

        let killed = Command::new("sh").args(["-c", &format!("kill -TERM {}", child.id())]).status().unwrap();
        assert!(killed.success());
        assert_eq!(child.wait().unwrap().code(), Some(0));
        let (mut out, mut err) = (String::new(), String::new());
        stdout.read_to_string(&mut out).unwrap();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert_eq!((out.as_str(), err.as_str()), ("", ""));
    }

    #[test]
    fn what_it_cannot_do_has_an_exit_code_and_a_reason() {
        let dir = tempfile::tempdir().unwrap();
        let (code, reason) = said(&program().arg("--listen").output().unwrap());
        assert_eq!(code, Some(64), "{reason}");

        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let (code, reason) =
            said(&program().args(["--listen", "127.0.0.1:0", "--out"]).arg(&file).output().unwrap());
        assert_eq!(code, Some(74), "{reason}");
        assert!(reason.contains(&*file.to_string_lossy()), "{reason}");

        let (mut child, _stdout, address) = start(dir.path());
        let (code, reason) =
            said(&program().args(["--listen", &address, "--out"]).arg(dir.path()).output().unwrap());
        assert_eq!(code, Some(78), "{reason}");
        assert!(reason.contains(&address), "{reason}");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Starts it with other arguments; answers it and its first line.
    fn start_with(out: &Path, arguments: &[&str]) -> (Child, BufReader<std::process::ChildStdout>, String) {
        let mut child = program()
            .args(arguments)
            .arg("--out")
            .arg(out)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program");
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a first line");
        (child, stdout, line)
    }

    #[test]
    fn it_prints_behind_a_socket_file_and_keeps_pictures() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("printer.sock");
        let (mut child, _stdout, line) =
            start_with(dir.path(), &["--unix", socket.to_str().unwrap(), "--png", "--reply-delay", "1"]);
        assert_eq!(line, format!("listening on {}\n", socket.display()));
        let mut host = std::os::unix::net::UnixStream::connect(&socket).unwrap();
        host.write_all(b"Job s1\n\x1dVB\x00\x1d(H\x06\x0000wxyz").unwrap();
        let mut echo = [0; 7];
        host.read_exact(&mut echo).unwrap();
        assert_eq!(&echo, b"\x37\x22wxyz\x00");
        let picture = fs::read(dir.path().join("paper/00001.png")).unwrap();
        assert_eq!(&picture[1..4], b"PNG");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn behind_a_pseudo_terminal_it_is_a_serial_printer_that_is_told_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("tty");
        let pty = link.to_str().unwrap();
        let (mut child, mut stdout, _) =
            start_with(dir.path(), &["--pty", pty, "--orders", "--sensor", "high-open"]);
        let mut orders = child.stdin.take().unwrap();
        let mut order = |line: &str| {
            writeln!(orders, "{line}").unwrap();
            let mut answer = String::new();
            stdout.read_line(&mut answer).unwrap();
            answer
        };
        let mut cable = fs::OpenOptions::new().read(true).write(true).open(&link).unwrap();
        let mut ask = |bytes: &[u8], count: usize| {
            cable.write_all(bytes).unwrap();
            let mut answer = vec![0; count];
            cable.read_exact(&mut answer).unwrap();
            answer
        };
        assert_eq!(ask(b"\x10\x04\x01", 1), [0x12]);
        assert_eq!(order("drawer-open"), "done\n");
        assert_eq!(order("paper-out on"), "done\n");
        assert_eq!(ask(b"\x10\x04\x01\x10\x04\x02", 2), [0x1e, 0x32]);
        assert_eq!(order("dance"), "not done: \"dance\" is no order; --help names them\n");
        assert_eq!(order("paper-out off"), "done\n");
        assert_eq!(ask(b"Job t1\n\x1dVB\x00\x1d(H\x06\x0000wxyz", 7), b"\x37\x22wxyz\x00");
        assert_eq!(logged(dir.path()).unwrap()[0].job.as_deref(), Some("t1"));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn help_shows_an_example() {
        let output = program().arg("--help").output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("virtual-printer --listen 127.0.0.1:9100 --out")
        );
    }
}
