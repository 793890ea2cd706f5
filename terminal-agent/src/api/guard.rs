//! Who may ask, before anything else is looked at.
//!
//! The socket is on loopback, but a web page in a browser on this machine can reach it too: so the `Host` must name the
//! loopback (against DNS rebinding), no foreign `Origin` is served, and every request carries the bearer token, compared in
//! constant time.

use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};

use super::error::ApiError;

const NOT_YOU: &str = "This program may not use the till.";

/// Judges a request by its headers.
///
/// Errors: 403 for a foreign host or origin, 401 for a missing or wrong token.
pub(super) fn admit(token: &str, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).or(uri.host());
    if !host.is_some_and(names_loopback) {
        let log = "the Host header must name the loopback: 127.0.0.1, [::1] or localhost";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "foreign-host", NOT_YOU, log));
    }
    if headers.get(header::ORIGIN).is_some_and(|origin| !is_local_origin(origin)) {
        let log = "the Origin header names another machine";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "foreign-origin", NOT_YOU, log));
    }
    let given = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    let given = match given.split_at_checked(7) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(b"bearer ") => rest,
        _ => &[],
    };
    if same(given, token.as_bytes()) || toko_crdt::mutant!("serve-anybody") {
        Ok(())
    } else {
        let log = "the bearer token is missing or wrong";
        Err(ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", NOT_YOU, log))
    }
}

fn names_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    };
    matches!(name, "127.0.0.1" | "[::1]") || name.eq_ignore_ascii_case("localhost")
}

fn is_local_origin(origin: &HeaderValue) -> bool {
    let host = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    host.is_some_and(|(_, host)| names_loopback(host))
}

/// Compares in a time that depends on the lengths alone.
fn same(given: &[u8], wanted: &[u8]) -> bool {
    let differs = given.iter().zip(wanted).fold(0, |differs, (a, b)| differs | (a ^ b));
    std::hint::black_box(differs) == 0 && given.len() == wanted.len() && !wanted.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(pairs: &[(&'static str, &'static str)]) -> u16 {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        admit("secret", &Uri::from_static("/v1/status"), &headers)
            .map_or_else(|e| e.status.as_u16(), |()| 200)
    }

    #[test]
    fn only_the_token_opens_the_door() {
        let host = ("host", "127.0.0.1:7480");
        assert_eq!(judged(&[host, ("authorization", "Bearer secret")]), 200);
        assert_eq!(judged(&[("host", "localhost"), ("authorization", "bearer secret")]), 200);
        assert_eq!(judged(&[("host", "[::1]:80"), ("authorization", "Bearer secret")]), 200);
        for wrong in ["Bearer secre", "Bearer secrets", "Bearer Secret", "Bearer ", "secret", "Basic secret"]
        {
            assert_eq!(judged(&[host, ("authorization", wrong)]), 401, "{wrong}");
        }
        assert_eq!(judged(&[host]), 401);
    }

    #[test]
    fn a_page_of_another_machine_is_refused_although_it_has_the_token() {
        let token = ("authorization", "Bearer secret");
        for host in ["evil.example", "127.0.0.1.evil.example", "192.168.1.4:7480", "::1", ""] {
            assert_eq!(judged(&[("host", host), token]), 403, "{host}");
        }
        assert_eq!(judged(&[token]), 403);
        let host = ("host", "localhost:7480");
        assert_eq!(judged(&[host, token, ("origin", "https://evil.example")]), 403);
        assert_eq!(judged(&[host, token, ("origin", "null")]), 403);
        assert_eq!(judged(&[host, token, ("origin", "http://localhost:5173")]), 200);
    }
}
