//! Looking for the router by SSDP (UPnP Forum, "UPnP Device Architecture", section 1): where it has the description of what it offers.
//!
//! What always holds: the answer is that of the router that the default route leads over, and what it describes is at the router itself.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4},
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    net::UdpSocket,
    time::{Instant, timeout_at},
};

/// Where routers listen for who looks for them.
const EVERYBODY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 255, 255, 250), SEARCH_PORT);
const SEARCH_PORT: u16 = 1900;

/// The kinds of routers that are looked for; one of the second kind answers to the first, mostly.
const KINDS: [&str; 2] = ["InternetGatewayDevice:1", "InternetGatewayDevice:2"];

/// Questions, and the time for the answers to each.
const SEARCHES: u32 = 3;
const SEARCH_TIME: Duration = Duration::from_millis(700);

/// The largest answer to a question.
const ANSWER_BYTES_MAX: usize = 2 << 10;

/// The longest path of an action.
const PATH_BYTES_MAX: usize = 256;

/// Where the description of the router is.
pub(super) async fn search(router: Ipv4Addr, host: Ipv4Addr) -> io::Result<(SocketAddr, String)> {
    let socket = UdpSocket::bind((host, 0)).await?;
    SockRef::from(&socket).set_multicast_if_v4(&host)?;
    let mut answer = [0; ANSWER_BYTES_MAX];
    for _ in 0..SEARCHES {
        for kind in KINDS {
            let question = format!(
                "M-SEARCH * HTTP/1.1\r\nHOST: {EVERYBODY}\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\n\
                 ST: urn:schemas-upnp-org:device:{kind}\r\n\r\n"
            );
            // Firewalls let in an answer to a question that went to who answers; some routers answer only what goes to everybody.
            for to in [EVERYBODY, SocketAddrV4::new(router, SEARCH_PORT)] {
                socket.send_to(question.as_bytes(), to).await?;
            }
        }
        let until = Instant::now() + SEARCH_TIME;
        while let Ok(received) = timeout_at(until, socket.recv_from(&mut answer)).await {
            let (length, from) = received?;
            let text = std::str::from_utf8(answer.get(..length).unwrap_or_default()).unwrap_or_default();
            if from.ip() == IpAddr::V4(router)
                && let Some(found) = location(text, router)
            {
                return Ok(found);
            }
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// Where an answer says that the description is, if that is at the router.
fn location(answer: &str, router: Ipv4Addr) -> Option<(SocketAddr, String)> {
    if !answer.starts_with("HTTP/1.1 200") {
        return None;
    }
    let headers = answer.lines().filter_map(|line| line.split_once(':'));
    let mut locations = headers.filter(|(name, _)| name.trim().eq_ignore_ascii_case("location"));
    let (_, url) = locations.next()?;
    let (at, path) = place(url.trim())?;
    (at.ip() == IpAddr::V4(router)).then_some((at, path))
}

/// The host and the path of an address of the web without a name.
pub(super) fn place(url: &str) -> Option<(SocketAddr, String)> {
    let rest = url.strip_prefix("http://")?;
    let (host, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let at: SocketAddr = match host.parse() {
        Ok(at) => at,
        Err(_) => SocketAddr::new(host.parse().ok()?, 80),
    };
    Some((at, checked(path)?)).filter(|(at, _)| at.port() != 0)
}

/// A path that can stand in a request.
pub(super) fn checked(path: &str) -> Option<String> {
    let is_sound = path.len() <= PATH_BYTES_MAX && path.bytes().all(|byte| byte.is_ascii_graphic());
    match path.starts_with('/') {
        _ if !is_sound => None,
        true => Some(path.to_owned()),
        // Relative to the root: that is where they are.
        false => Some(format!("/{path}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);

    #[test]
    fn a_description_is_read_at_the_router_and_nowhere_else() {
        let answer = |url: &str| format!("HTTP/1.1 200 OK\r\nST: x\r\nLocation: {url}\r\n\r\n");
        let found = |url: &str| location(&answer(url), ROUTER);
        let place = |port, path: &str| Some((SocketAddr::new(ROUTER.into(), port), path.to_owned()));
        assert_eq!(found("http://192.168.1.1:5000/root.xml"), place(5000, "/root.xml"));
        assert_eq!(found("http://192.168.1.1"), place(80, "/"));
        let long = format!("http://192.168.1.1/{}", "a".repeat(PATH_BYTES_MAX));
        for other in [
            "http://192.168.1.2:5000/root.xml",
            "http://127.0.0.1/x",
            "http://router/x",
            "https://192.168.1.1/x",
            "http://192.168.1.1:0/x",
            "http://192.168.1.1@127.0.0.1/x",
            "http://192.168.1.1/a b",
            "http://192.168.1.1/\u{e9}",
            &long,
            "",
        ] {
            assert_eq!(found(other), None, "{other}");
        }
        assert_eq!(location("NOTIFY * HTTP/1.1\r\nLocation: http://192.168.1.1/\r\n\r\n", ROUTER), None);
    }
}
