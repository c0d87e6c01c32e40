//! The gallery, asked as a browser asks, and as browsers never do: what is refused, what is spent, what a page is made of.

mod changing;
mod safety;
mod viewing;

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use crate::stage::{PATIENCE, Peer};

/// What a request was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// Sends a request as it stands.
#[track_caller]
pub(crate) fn send(address: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // It may be refused before it was read whole.
    drop(stream.write_all(request));
    let mut bytes = Vec::new();
    drop(stream.read_to_end(&mut bytes));
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut body = bytes[end + 4..].to_vec();
    if head.to_lowercase().contains("transfer-encoding: chunked") {
        body = unchunked(&body);
    }
    Answer { status: head.split(' ').nth(1).unwrap().parse().unwrap(), head, body }
}

fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        whole.extend(&bytes[end + 2..end + 2 + size]);
        bytes = &bytes[end + 2 + size + 2..];
    }
    whole
}

/// A browser that was let in.
pub(crate) struct Browser {
    pub(crate) address: SocketAddr,
    pub(crate) cookie: String,
    pub(crate) csrf: String,
}

/// Where the gallery of a peer is, and a token for it.
#[track_caller]
pub(crate) fn pass(peer: &Peer) -> (SocketAddr, String) {
    let gallery = peer.json(&["gallery", "--no-open"]);
    let url = gallery["url"].as_str().unwrap();
    let (address, token) = url.strip_prefix("http://").unwrap().split_once("/enter#").unwrap();
    assert_eq!(gallery["address"], address);
    (address.parse().unwrap(), token.to_owned())
}

/// A form as a browser sends it.
pub(crate) fn form(address: SocketAddr, path: &str, cookie: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let encode =
        |text: &str| -> String {
            text.bytes()
                .map(|byte| {
                    if byte.is_ascii_alphanumeric() {
                        char::from(byte).into()
                    } else {
                        format!("%{byte:02X}")
                    }
                })
                .collect()
        };
    let fields: Vec<String> =
        fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    let body = fields.join("&");
    format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\norigin: http://{address}\r\ncookie: {cookie}\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

impl Browser {
    #[track_caller]
    pub(crate) fn of(peer: &Peer) -> Self {
        let (address, token) = pass(peer);
        let entered = send(address, &form(address, "/enter", "", &[("token", &token)]));
        assert_eq!((entered.status, entered.header("location")), (303, Some("/")), "{}", entered.text());
        let cookie = entered.header("set-cookie").unwrap();
        assert!(cookie.ends_with("; HttpOnly; SameSite=Strict; Path=/"), "{cookie}");
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let mut browser = Self { address, cookie, csrf: String::new() };
        let page = browser.get("/").text();
        let (_, rest) = page.split_once("data-csrf=\"").unwrap();
        browser.csrf = rest.split('"').next().unwrap().to_owned();
        browser
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.get_with(path, "")
    }

    #[track_caller]
    pub(crate) fn get_with(&self, path: &str, headers: &str) -> Answer {
        let Self { address, cookie, .. } = self;
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {address}\r\ncookie: {cookie}\r\n{headers}connection: close\r\n\r\n"
        );
        send(*address, request.as_bytes())
    }

    /// Sends a form with the session's secret.
    #[track_caller]
    pub(crate) fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut all = vec![("csrf", &*self.csrf)];
        all.extend(fields);
        send(self.address, &form(self.address, path, &self.cookie, &all))
    }

    /// Sends a form, and gives the text of the page that it leads to.
    #[track_caller]
    pub(crate) fn submit(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let answer = self.post(path, fields);
        assert_eq!(answer.status, 303, "{path}: {}", answer.text());
        self.get(answer.header("location").unwrap()).text()
    }

    /// What happens, as it is streamed.
    #[track_caller]
    pub(crate) fn stream(&self) -> TcpStream {
        let Self { address, cookie, .. } = self;
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        write!(stream, "GET /events HTTP/1.1\r\nhost: {address}\r\ncookie: {cookie}\r\n\r\n").unwrap();
        stream
    }
}

/// The lines of data that come, until one of these is there.
#[track_caller]
pub(crate) fn read_until(stream: &mut TcpStream, until: &[&str]) -> Vec<String> {
    let (mut text, end) = (String::new(), Instant::now() + PATIENCE);
    let mut buffer = [0; 4096];
    loop {
        let lines: Vec<String> =
            text.lines().filter_map(|line| line.strip_prefix("data: ")).map(Into::into).collect();
        if until.iter().all(|wanted| lines.iter().any(|line| line == wanted)) {
            return lines;
        }
        assert!(Instant::now() < end, "{until:?} did not come: {text}");
        match stream.read(&mut buffer) {
            Ok(0) => panic!("the stream ended: {text}"),
            Ok(count) => text.push_str(&String::from_utf8_lossy(&buffer[..count])),
            Err(_) => {}
        }
    }
}
