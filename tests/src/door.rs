//! The doors of the daemons, from outside: HTTP with JSON, and commands that print JSON.
//!
//! Invariants: every call ends within its deadline; an answer is at most [`ANSWER_BYTES_MAX`]; an answer that is no JSON is
//! an error that shows its beginning. A refusal is an answer, not an error: whoever asked knows what to make of it.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::LOOK_EVERY;

/// The largest answer that is read.
pub const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DoorError {
    /// Nobody answered; what was asked may have been done.
    #[error("{call} got no answer: {reason}")]
    NoAnswer {
        /// Method and address, or the command.
        call: String,
        /// A lowercase fragment.
        reason: String,
    },
    /// What came is not JSON.
    #[error("{call} answered something else than JSON: {beginning:?}")]
    NotJson {
        /// Method and address, or the command.
        call: String,
        /// Its first letters.
        beginning: String,
    },
    /// The answer is a refusal where none was expected.
    #[error("{call} was refused with {status}: {body}")]
    Refused {
        /// Method and address, or the command.
        call: String,
        /// HTTP status or exit code.
        status: i32,
        /// What was said.
        body: String,
    },
}

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; `null` if it is empty.
    pub body: Value,
    call: String,
}

impl Answer {
    /// The body if the status is 2xx.
    pub fn granted(self) -> Result<Value, DoorError> {
        if (200..300).contains(&self.status) {
            return Ok(self.body);
        }
        Err(DoorError::Refused { call: self.call, status: self.status.into(), body: self.body.to_string() })
    }
}

/// A daemon's HTTP API. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Api {
    agent: ureq::Agent,
    base: String,
    token: String,
}

impl Api {
    /// `base` is `http://127.0.0.1:8080`; `token` goes along as bearer token.
    pub fn new(base: &str, token: &str, deadline: Duration) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(deadline))
            .proxy(None)
            .build();
        Self { agent: config.new_agent(), base: base.trim_end_matches('/').into(), token: token.into() }
    }

    /// One call. `path` starts with `/`; `headers` are added, such as `("Idempotency-Key", …)`.
    pub fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, DoorError> {
        let call = format!("{method} {}{path}", self.base);
        let silent = |reason: &dyn std::fmt::Display| DoorError::NoAnswer {
            call: call.clone(),
            reason: reason.to_string(),
        };
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("Authorization", format!("Bearer {}", self.token));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = match body {
            Some(body) => {
                let request = request.header("Content-Type", "application/json").body(body.to_string());
                self.agent.run(request.map_err(|e| silent(&e))?)
            }
            None => self.agent.run(request.body(()).map_err(|e| silent(&e))?),
        };
        let mut answer = answer.map_err(|e| silent(&e))?;
        let status = answer.status().as_u16();
        let bytes =
            answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec().map_err(|e| silent(&e))?;
        Ok(Answer { status, body: json(&call, &bytes)?, call })
    }

    /// `GET`, and the body if it is granted.
    pub fn get(&self, path: &str) -> Result<Value, DoorError> {
        self.call("GET", path, &[], None)?.granted()
    }

    /// `POST`, and the body if it is granted. `key` goes along as `Idempotency-Key`.
    pub fn post(&self, path: &str, key: Option<&str>, body: &Value) -> Result<Value, DoorError> {
        let header = key.map(|key| ("Idempotency-Key", key));
        self.call("POST", path, header.as_slice(), Some(body))?.granted()
    }
}

/// Runs a command that prints JSON, such as `hubctl --json status`, and returns what it printed.
///
/// Errors: [`DoorError::Refused`] with its exit code and what it wrote to standard error.
pub fn ask_command(exe: &Path, args: &[&str], deadline: Duration) -> Result<Value, DoorError> {
    json(&call_of(exe, args), &run_command(exe, args, deadline)?)
}

fn call_of(exe: &Path, args: &[&str]) -> String {
    let words = std::iter::once(exe.display().to_string()).chain(args.iter().map(|a| (*a).to_owned()));
    words.collect::<Vec<_>>().join(" ")
}

/// Runs a command and returns what it printed, whatever that is.
///
/// Errors: as [`ask_command`].
pub fn run_command(exe: &Path, args: &[&str], deadline: Duration) -> Result<Vec<u8>, DoorError> {
    let call = call_of(exe, args);
    let silent = |reason: &dyn std::fmt::Display| DoorError::NoAnswer {
        call: call.clone(),
        reason: reason.to_string(),
    };
    let mut child = Command::new(exe)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| silent(&e))?;
    let out = drain(child.stdout.take());
    let err = drain(child.stderr.take());
    let started = Instant::now();
    let status = loop {
        match child.try_wait().map_err(|e| silent(&e))? {
            Some(status) => break status,
            None if started.elapsed() >= deadline => {
                let ended = child.kill().and_then(|()| child.wait());
                ended.map_err(|e| silent(&e))?;
                return Err(silent(&format!("still running after {} ms", deadline.as_millis())));
            }
            None => std::thread::sleep(LOOK_EVERY),
        }
    };
    let (out, err) = (out.join().unwrap_or_default(), err.join().unwrap_or_default());
    if !status.success() {
        let body = String::from_utf8_lossy(&err).trim().to_owned();
        return Err(DoorError::Refused { call, status: status.code().unwrap_or(-1), body });
    }
    Ok(out)
}

/// Reads a pipe beside the waiting, so that a long answer cannot stop the command.
fn drain(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            // What arrived before an error is kept; the exit code tells the rest.
            let _ = pipe.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes);
        }
        bytes
    })
}

fn json(call: &str, bytes: &[u8]) -> Result<Value, DoorError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Null);
    }
    serde_json::from_slice(bytes).map_err(|_| DoorError::NotJson {
        call: call.to_owned(),
        beginning: String::from_utf8_lossy(bytes).chars().take(200).collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    /// Answers one request with `answer` and returns what was asked.
    fn one_answer(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let asked = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            let (mut asked, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
                asked.push_str(&line);
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            asked.push_str(&String::from_utf8(body).unwrap());
            reader.get_mut().write_all(answer.as_bytes()).unwrap();
            asked
        });
        (base, asked)
    }

    #[test]
    fn a_call_carries_token_key_and_body() {
        let (base, asked) = one_answer(
            "HTTP/1.1 201 Created\r\ncontent-length: 13\r\nconnection: close\r\n\r\n{\"sale\":\"s1\"}",
        );
        let body = serde_json::json!({ "cart": 7 });
        let answer = Api::new(&base, "secret", SOON).post("/v1/sales", Some("k-1"), &body).unwrap();
        assert_eq!(answer["sale"], "s1");
        let asked = asked.join().unwrap();
        assert!(asked.starts_with("POST /v1/sales HTTP/1.1"), "{asked}");
        assert!(asked.to_ascii_lowercase().contains("authorization: bearer secret"), "{asked}");
        assert!(asked.to_ascii_lowercase().contains("idempotency-key: k-1"), "{asked}");
        assert!(asked.ends_with("{\"cart\":7}"), "{asked}");
    }

    #[test]
    fn a_refusal_is_an_answer_until_it_must_be_granted() {
        let (base, asked) = one_answer(
            "HTTP/1.1 409 Conflict\r\ncontent-length: 16\r\nconnection: close\r\n\r\n{\"code\":\"taken\"}",
        );
        let answer = Api::new(&base, "t", SOON).call("GET", "/v1/carts/1", &[], None).unwrap();
        asked.join().unwrap();
        assert_eq!((answer.status, &answer.body["code"]), (409, &Value::from("taken")));
        let said = answer.granted().unwrap_err().to_string();
        assert_eq!(said, format!("GET {base}/v1/carts/1 was refused with 409: {{\"code\":\"taken\"}}"));
    }

    #[test]
    fn a_closed_door_is_named() {
        let port = crate::process::free_tcp_port().unwrap();
        let said = Api::new(&format!("http://127.0.0.1:{port}"), "t", SOON).get("/v1/status").unwrap_err();
        assert!(
            said.to_string().starts_with(&format!("GET http://127.0.0.1:{port}/v1/status got no answer: "))
        );
    }

    #[test]
    fn a_command_is_read_judged_and_ended_at_its_deadline() {
        let shell = |script, deadline| ask_command(Path::new("/bin/sh"), &["-c", script], deadline);
        assert_eq!(shell("echo '{\"tills\": 3}'", SOON).unwrap()["tills"], 3);
        assert_eq!(shell(":", SOON).unwrap(), Value::Null);
        let refused = shell("echo no hub >&2; exit 76", SOON).unwrap_err().to_string();
        assert!(refused.ends_with("was refused with 76: no hub"), "{refused}");
        let noise = shell("echo hello", SOON).unwrap_err().to_string();
        assert!(noise.ends_with("answered something else than JSON: \"hello\\n\""), "{noise}");
        let late = shell("exec sleep 600", Duration::from_millis(30)).unwrap_err().to_string();
        assert!(late.ends_with("got no answer: still running after 30 ms"), "{late}");
        let long = shell("head -c 3000000 /dev/zero | tr '\\0' ' '; echo '[1]'", SOON).unwrap();
        assert_eq!(long, serde_json::json!([1]));
    }
}
