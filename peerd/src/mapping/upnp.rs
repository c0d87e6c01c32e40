//! Asking a router by UPnP, where it knows neither PCP nor NAT-PMP: looking for it ([`super::ssdp`]), reading what it offers, and the actions of
//! `WANIPConnection` (UPnP Forum, "Internet Gateway Device", 1 and 2). Those for IPv6 are in [`super::firewall`].
//!
//! What always holds: nobody is spoken with but the router that the default route leads over, at a private address; what it says of where its
//! actions are leads nowhere else. Whatever it sends is bounded in size and time. The protocol has no trust: everybody in the network may have the
//! router forward ports, and what is announced proves itself by the key of who answers there.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6},
    time::Duration,
};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Request, StatusCode,
    body::Bytes,
    client::conn::http1,
    header::{CONNECTION, CONTENT_TYPE, HOST, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpSocket, time::timeout};

use super::{
    ssdp::{checked, place, search},
    xml::{Piece, Pieces, escaped, text_of},
};

/// The largest description of what a router offers: they have 5 to 20 KiB.
const DOCUMENT_BYTES_MAX: usize = 128 << 10;

/// The largest head of an answer, and its buffer.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// An action, or the description: routers take their time.
const ACTION_TIME_MAX: Duration = Duration::from_secs(3);

/// Services of a description that are looked at.
const SERVICES_MAX: usize = 32;

/// By whom a mapping is, in the router's list.
const NAME: &str = "dos peerd";

/// Router error: another host has that port ("ConflictInMappingEntry").
const CONFLICT: u32 = 718;

/// Router error: it keeps mappings for ever only ("OnlyPermanentLeasesSupported").
const PERMANENT_ONLY: u32 = 725;

/// Why there is no mapping.
#[derive(Debug, thiserror::Error)]
pub(super) enum UpnpError {
    #[error("it does not answer")]
    Silent(#[source] io::Error),
    #[error("it offers no mapping of ports")]
    Nothing,
    #[error("its answer is not understood")]
    Answer,
    #[error("it refuses with error {0}")]
    Refused(u32),
}

impl From<io::Error> for UpnpError {
    fn from(error: io::Error) -> Self {
        Self::Silent(error)
    }
}

/// Where the actions of a router are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gateway {
    at: SocketAddr,
    /// From where it is asked, where that matters: routers open a firewall for who asks and nobody else.
    from: Option<IpAddr>,
    path: String,
    /// The type of its service, with the version.
    service: String,
}

/// A mapping that a router has made.
#[derive(Debug)]
pub(super) struct Mapping {
    gateway: Gateway,
    host: Ipv4Addr,
    /// The port here, and the one outside.
    ports: (u16, u16),
    /// For how long; without an end, if it is the router's way.
    pub(super) life: Option<Duration>,
}

/// Looks for the router of this host, and for what it offers.
///
/// # Errors
/// If it does not answer or offers nothing.
pub(super) async fn find(router: Ipv4Addr, host: Ipv4Addr) -> Result<Gateway, UpnpError> {
    let (at, document) = described(router, host).await?;
    // One for IP comes before one for PPP, of which there may be one that is not connected.
    let kinds = ["WANIPConnection:1", "WANIPConnection:2", "WANPPPConnection:1"];
    offered(&document, at, &kinds).ok_or(UpnpError::Nothing)
}

/// Looks for the same router's firewall of IPv6, which is asked at this address from that one of this host.
///
/// # Errors
/// If it does not answer or offers nothing.
pub(super) async fn find_firewall(
    (router, host): (Ipv4Addr, Ipv4Addr),
    there: SocketAddrV6,
    from: Ipv6Addr,
) -> Result<Gateway, UpnpError> {
    let (at, document) = described(router, host).await?;
    let found = offered(&document, at, &["WANIPv6FirewallControl:1"]).ok_or(UpnpError::Nothing)?;
    let there = SocketAddrV6::new(*there.ip(), at.port(), 0, there.scope_id());
    Ok(Gateway { at: there.into(), from: Some(from.into()), ..found })
}

/// The description of the router of this host, and where it is.
async fn described(router: Ipv4Addr, host: Ipv4Addr) -> Result<(SocketAddr, String), UpnpError> {
    let (at, path) = search(router, host).await?;
    let request = Request::get(&path).header(HOST, at.to_string());
    let document = exchange((at, None), request, String::new()).await?.1;
    Ok((at, document))
}

/// What a description offers of these kinds of services, the first of which is the best; actions at another host are none.
fn offered(document: &str, at: SocketAddr, kinds: &[&str]) -> Option<Gateway> {
    let (mut kind, mut control) = (String::new(), String::new());
    let (mut within, mut seen) = (String::new(), 0);
    let mut best: Option<(usize, Gateway)> = None;
    for piece in Pieces::of(document) {
        match piece {
            Piece::Open(name) => {
                if name == "service" {
                    (kind, control) = (String::new(), String::new());
                    seen += 1;
                }
                name.clone_into(&mut within);
            }
            Piece::Text(text) => match &*within {
                "serviceType" => kind.push_str(text.trim()),
                "controlURL" => control.push_str(text.trim()),
                _ => {}
            },
            Piece::Close("service") => {
                let found = gateway(&kind, &control, at, kinds);
                let is_better =
                    |(rank, _): &(usize, Gateway)| best.as_ref().is_none_or(|best| *rank < best.0);
                best = found.filter(is_better).or(best);
                within.clear();
            }
            Piece::Close(_) => within.clear(),
        }
        if seen > SERVICES_MAX {
            break;
        }
    }
    best.map(|(_, gateway)| gateway)
}

/// A service, with the place of its kind among these.
fn gateway(kind: &str, control: &str, at: SocketAddr, kinds: &[&str]) -> Option<(usize, Gateway)> {
    let service = kind.strip_prefix("urn:schemas-upnp-org:service:")?;
    let rank = kinds.iter().position(|kind| *kind == service)?;
    let path = if control.starts_with("http://") {
        place(control).filter(|(there, _)| *there == at)?.1
    } else {
        checked(control)?
    };
    Some((rank, Gateway { at, from: None, path, service: kind.to_owned() }))
}

/// Sends a request and reads the whole answer.
async fn exchange(
    at: (SocketAddr, Option<IpAddr>),
    request: hyper::http::request::Builder,
    body: String,
) -> Result<(StatusCode, String), UpnpError> {
    let late = |_| UpnpError::Silent(io::ErrorKind::TimedOut.into());
    timeout(ACTION_TIME_MAX, exchanged(at, request, body)).await.map_err(late)?
}

async fn exchanged(
    (at, from): (SocketAddr, Option<IpAddr>),
    request: hyper::http::request::Builder,
    body: String,
) -> Result<(StatusCode, String), UpnpError> {
    let failed = |error: hyper::Error| UpnpError::Silent(io::Error::other(error));
    let request = request.header(CONNECTION, "close").header(USER_AGENT, NAME);
    let request = request.body(Full::new(Bytes::from(body))).map_err(|_| UpnpError::Answer)?;
    let socket = if at.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if let Some(from) = from {
        socket.bind((from, 0).into())?;
    }
    let stream = TokioIo::new(socket.connect(at).await?);
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(HEAD_BYTES_MAX).handshake(stream).await.map_err(failed)?;
    let answered = async {
        let answer = sender.send_request(request).await.map_err(failed)?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), DOCUMENT_BYTES_MAX).collect().await;
        let body = body.map_err(|_| UpnpError::Answer)?.to_bytes();
        // Then the connection has nothing more to do.
        drop(sender);
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    let (answered, _) = tokio::join!(answered, connection);
    answered
}

impl Gateway {
    /// Has the router do something; what it answers.
    pub(super) async fn act(&self, action: &str, arguments: &[(&str, &str)]) -> Result<String, UpnpError> {
        let arguments: String =
            arguments.iter().map(|(name, value)| format!("<{name}>{}</{name}>", escaped(value))).collect();
        let service = &self.service;
        let body = format!(
            "<?xml version=\"1.0\"?>\r\n\
             <s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\">\
             <s:Body><u:{action} xmlns:u=\"{service}\">{arguments}</u:{action}></s:Body></s:Envelope>\r\n"
        );
        // The number of an interface of this host is nothing to the router.
        let host = match self.at {
            SocketAddr::V6(v6) => format!("[{}]:{}", v6.ip(), v6.port()),
            v4 => v4.to_string(),
        };
        let request = Request::post(&self.path)
            .header(HOST, host)
            .header(CONTENT_TYPE, "text/xml; charset=\"utf-8\"")
            .header("SOAPAction", format!("\"{service}#{action}\""));
        let (status, answer) = exchange((self.at, self.from), request, body).await?;
        if status.is_success() {
            return Ok(answer);
        }
        let code = text_of(&answer, "errorCode").and_then(|code| code.parse().ok());
        Err(code.map_or(UpnpError::Answer, UpnpError::Refused))
    }

    /// Its address outside.
    ///
    /// # Errors
    /// As in [`UpnpError`].
    pub(super) async fn outside(&self) -> Result<IpAddr, UpnpError> {
        let answer = self.act("GetExternalIPAddress", &[]).await?;
        let ip = text_of(&answer, "NewExternalIPAddress").and_then(|ip| ip.parse::<Ipv4Addr>().ok());
        ip.map(IpAddr::V4).ok_or(UpnpError::Answer)
    }

    async fn add(
        &self,
        host: Ipv4Addr,
        (port, outside): (u16, u16),
        life: Duration,
    ) -> Result<(), UpnpError> {
        let arguments = [
            ("NewRemoteHost", ""),
            ("NewExternalPort", &outside.to_string()),
            ("NewProtocol", "TCP"),
            ("NewInternalPort", &port.to_string()),
            ("NewInternalClient", &host.to_string()),
            ("NewEnabled", "1"),
            ("NewPortMappingDescription", NAME),
            ("NewLeaseDuration", &life.as_secs().to_string()),
        ];
        self.act("AddPortMapping", &arguments).await.map(drop)
    }

    /// Has a port outside lead to one of this host: the same where that is free, else one of these.
    ///
    /// # Errors
    /// As in [`UpnpError`].
    pub(super) async fn map(
        self,
        host: Ipv4Addr,
        port: u16,
        (others, life): (&[u16], Duration),
    ) -> Result<Mapping, UpnpError> {
        let mut last = UpnpError::Nothing;
        for outside in [port].into_iter().chain(others.iter().copied()) {
            let ports = (port, outside);
            match self.add(host, ports, life).await {
                Ok(()) => return Ok(Mapping { gateway: self, host, ports, life: Some(life) }),
                Err(UpnpError::Refused(PERMANENT_ONLY)) => {
                    self.add(host, ports, Duration::ZERO).await?;
                    return Ok(Mapping { gateway: self, host, ports, life: None });
                }
                Err(error @ UpnpError::Refused(CONFLICT)) => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }
}

impl Mapping {
    /// The port outside.
    pub(super) fn outside_port(&self) -> u16 {
        self.ports.1
    }

    /// Where it is seen from outside.
    ///
    /// # Errors
    /// As in [`UpnpError`].
    pub(super) async fn outside(&self) -> Result<IpAddr, UpnpError> {
        self.gateway.outside().await
    }

    /// Makes it last for so long from now on.
    ///
    /// # Errors
    /// As in [`UpnpError`].
    pub(super) async fn renew(&self) -> Result<(), UpnpError> {
        self.gateway.add(self.host, self.ports, self.life.unwrap_or(Duration::ZERO)).await
    }

    /// Takes it back.
    ///
    /// # Errors
    /// As in [`UpnpError`].
    pub(super) async fn remove(&self) -> Result<(), UpnpError> {
        let outside = self.ports.1.to_string();
        let arguments = [("NewRemoteHost", ""), ("NewExternalPort", &*outside), ("NewProtocol", "TCP")];
        self.gateway.act("DeletePortMapping", &arguments).await.map(drop)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn service(kind: &str, control: &str) -> String {
        format!(
            "<service><serviceType>urn:schemas-upnp-org:service:{kind}</serviceType>\
             <controlURL>{control}</controlURL></service>"
        )
    }

    #[test]
    fn actions_are_those_of_the_router_itself_and_of_its_connection() {
        let there = at("192.168.1.1:5000");
        let offered = |services: &[String]| {
            let document =
                format!("<root><device><serviceList>{}</serviceList></device></root>", services.concat());
            let kinds = ["WANIPConnection:1", "WANIPConnection:2", "WANPPPConnection:1"];
            offered(&document, there, &kinds)
                .map(|gateway| (gateway.service.rsplit(':').nth(1).unwrap().to_owned(), gateway.path))
        };
        let other = service("WANCommonInterfaceConfig:1", "/c");
        let ppp = service("WANPPPConnection:1", "/p");
        let ip = service("WANIPConnection:2", "ctl/IPConn");
        let some = |service: &str, path: &str| Some((service.to_owned(), path.to_owned()));
        assert_eq!(
            offered(&[other.clone(), ppp.clone(), ip.clone()]),
            some("WANIPConnection", "/ctl/IPConn")
        );
        assert_eq!(offered(&[ip, ppp.clone()]), some("WANIPConnection", "/ctl/IPConn"));
        assert_eq!(offered(&[other.clone(), ppp]), some("WANPPPConnection", "/p"));
        assert_eq!(offered(&[other]), None);
        for elsewhere in ["http://192.168.1.2:5000/p", "http://192.168.1.1/p", "//x y", "a\r\nHost: b"] {
            assert_eq!(offered(&[service("WANIPConnection:1", elsewhere)]), None, "{elsewhere}");
        }
        let own = service("WANIPConnection:1", "http://192.168.1.1:5000/p");
        assert_eq!(offered(&[own]), some("WANIPConnection", "/p"));
        let many: Vec<String> = (0..SERVICES_MAX + 1).map(|_| service("x:1", "/x")).collect();
        assert_eq!(offered(&[many.concat(), service("WANIPConnection:1", "/p")]), None);
    }

    /// Answers the connections that come with these, and tells what was asked.
    pub(in super::super) async fn router(
        answers: &'static [&'static str],
    ) -> (Gateway, tokio::task::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let service = "urn:schemas-upnp-org:service:WANIPConnection:1".to_owned();
        let gateway =
            Gateway { at: listener.local_addr().unwrap(), from: None, path: "/ctl".into(), service };
        let serving = tokio::spawn(async move {
            let mut asked = Vec::new();
            for answer in answers {
                let (mut socket, _) = listener.accept().await.unwrap();
                let (mut request, mut room) = (String::new(), [0; 4096]);
                while !request.contains("</s:Envelope>") {
                    let length = socket.read(&mut room).await.unwrap();
                    request.push_str(std::str::from_utf8(&room[..length]).unwrap());
                }
                socket.write_all(answer.as_bytes()).await.unwrap();
                asked.push(request);
            }
            asked
        });
        (gateway, serving)
    }

    const DONE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    const CONFLICTS: &str =
        "HTTP/1.1 500 Internal Server Error\r\n\r\n<s:Fault><errorCode>718</errorCode></s:Fault>";
    const ALWAYS: &str = "HTTP/1.1 500 Internal Server Error\r\n\r\n<errorCode>725</errorCode>";
    const OUTSIDE: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n45\r\n\
        <x:R><NewExternalIPAddress> 203.0.113.7 </NewExternalIPAddress></x:R>\r\n0\r\n\r\n";

    #[tokio::test]
    async fn a_port_that_another_host_has_is_passed_over_and_what_lasts_for_ever_is_taken() {
        let (gateway, serving) = router(&[CONFLICTS, ALWAYS, DONE, OUTSIDE, DONE]).await;
        let life = Duration::from_secs(1200);
        let mapping = gateway.map(Ipv4Addr::LOCALHOST, 7001, (&[7002, 7003], life)).await.unwrap();
        assert_eq!((mapping.outside_port(), mapping.life), (7002, None));
        assert_eq!(mapping.outside().await.unwrap(), IpAddr::from([203, 0, 113, 7]));
        mapping.remove().await.unwrap();
        let asked = serving.await.unwrap();
        let ports = |asked: &str| {
            (asked.contains(">7001</NewExternalPort>"), asked.contains(">1200</NewLeaseDuration>"))
        };
        assert_eq!(
            asked.iter().map(|asked| ports(asked)).take(3).collect::<Vec<_>>(),
            [(true, true), (false, true), (false, false)]
        );
        assert!(
            asked[0]
                .contains("soapaction: \"urn:schemas-upnp-org:service:WANIPConnection:1#AddPortMapping\"")
                || asked[0].contains("SOAPAction"),
            "{}",
            asked[0]
        );
        assert!(asked[4].contains("<u:DeletePortMapping") && asked[4].contains(">7002</NewExternalPort>"));
    }

    #[tokio::test]
    async fn an_answer_without_an_end_is_not_read_to_it() {
        static ENDLESS: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
            format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(DOCUMENT_BYTES_MAX + 1))
        });
        static ANSWERS: std::sync::LazyLock<[&'static str; 1]> = std::sync::LazyLock::new(|| [&**ENDLESS]);
        let (gateway, _serving) = router(&*ANSWERS).await;
        assert!(matches!(gateway.outside().await, Err(UpnpError::Answer)));
    }
}
