//! A till screen's connection: HTTP/1.1 over one socket that stays open, timed from the first byte out to the last byte in.
//!
//! Absent on purpose: everything of HTTP that the terminal does not use. A general client costs as much as a sale.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::trouble::Trouble;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest head of an answer, and the longest body.
const HEAD_BYTES_MAX: usize = 16 << 10;
const BODY_BYTES_MAX: usize = 16 << 20;

/// A kept connection to a terminal's API.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    head: String,
    buffer: Vec<u8>,
    /// Bytes of the last question and the last answer.
    pub last: (usize, usize),
}

impl Wire {
    /// Connects.
    pub fn open(address: SocketAddr, token: &str) -> Result<Self, Trouble> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let head =
            format!("Host: {address}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n");
        Ok(Self { stream, head, buffer: Vec::new(), last: (0, 0) })
    }

    /// Posts a body and returns the answer and how long it took.
    ///
    /// Errors: anything but 2xx.
    pub fn post(&mut self, path: &str, key: &str, body: &str) -> Result<(Value, Duration), Trouble> {
        let question = format!(
            "POST {path} HTTP/1.1\r\n{}Idempotency-Key: {key}\r\nContent-Length: {}\r\n\r\n{body}",
            self.head,
            body.len()
        );
        let started = Instant::now();
        self.stream.write_all(question.as_bytes())?;
        let (status, head, length) = self.read()?;
        let took = started.elapsed();
        self.last = (question.len(), length);
        let body = self.buffer.get(head..length).unwrap_or_default();
        if status / 100 != 2 {
            let said = String::from_utf8_lossy(body).into_owned();
            return Err(Trouble::product("a call of the API")(format!("POST {path}: {status} {said}")));
        }
        let value = serde_json::from_slice(body).map_err(Trouble::product("a call of the API"))?;
        Ok((value, took))
    }

    /// Reads one answer into the buffer: its status, where its body begins and where it ends.
    fn read(&mut self) -> Result<(u16, usize, usize), Trouble> {
        let odd = |why: &str| Trouble::product("a call of the API")(why.to_owned());
        self.buffer.clear();
        let mut whole = None;
        loop {
            if whole.is_none()
                && let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n")
            {
                let head = String::from_utf8_lossy(&self.buffer[..end]).to_ascii_lowercase();
                let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
                let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
                let length: Option<usize> = length.and_then(|text| text.trim().parse().ok());
                let length = length.filter(|length| *length <= BODY_BYTES_MAX);
                let length = length.ok_or_else(|| odd("an answer without a good length"))?;
                whole =
                    Some((status.ok_or_else(|| odd("an answer without status"))?, end + 4, end + 4 + length));
            }
            match whole {
                Some(found) if self.buffer.len() >= found.2 => return Ok(found),
                None if self.buffer.len() > HEAD_BYTES_MAX => {
                    return Err(odd("an answer with a head too long"));
                }
                _ => {}
            }
            let mut part = [0; 8 << 10];
            match self.stream.read(&mut part)? {
                0 => return Err(odd("the terminal hung up")),
                read => self.buffer.extend_from_slice(&part[..read]),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn two_calls_share_a_connection_and_a_refusal_is_said() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let far = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for answer in [
                "HTTP/1.1 201 Created\r\nContent-Length: 11\r\n\r\n{\"sale\":12}",
                "HTTP/1.1 409 Conflict\r\ncontent-length: 4\r\n\r\n\"no\"",
            ] {
                let mut asked = Vec::new();
                while !asked.ends_with(b"\r\n\r\n{}") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    asked.push(byte[0]);
                }
                let (one, two) = answer.split_at(40);
                stream.write_all(one.as_bytes()).unwrap();
                stream.write_all(two.as_bytes()).unwrap();
            }
        });
        let mut wire = Wire::open(address, "t").unwrap();
        assert_eq!(wire.post("/v1/x", "k", "{}").unwrap().0["sale"], 12);
        let said = wire.post("/v1/x", "k", "{}").unwrap_err().to_string();
        assert_eq!(said, "a call of the API: POST /v1/x: 409 \"no\"");
        far.join().unwrap();
    }
}
