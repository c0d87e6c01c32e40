//! Asking a router by UPnP to let a port of IPv6 through its firewall: `WANIPv6FirewallControl` (UPnP Forum, "WANIPv6FirewallControl:1").
//!
//! The router is found over IPv4 and asked over IPv6, from the address for which it is to open: it does so for nobody else.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddrV6},
    time::Duration,
};

use super::{
    upnp::{Gateway, UpnpError, find_firewall},
    xml::text_of,
};

/// TCP, as IP counts protocols.
const TCP: &str = "6";

/// A port that a router lets through.
#[derive(Debug)]
pub(super) struct Hole {
    gateway: Gateway,
    /// The router's number for it.
    id: u16,
}

impl Hole {
    /// Has the router of this host, in IPv4 with this host's address there and in IPv6, let through what comes to this address and port.
    ///
    /// # Errors
    /// As in [`UpnpError`].
    pub(super) async fn open(
        router: (Ipv4Addr, Ipv4Addr),
        there: SocketAddrV6,
        (host, port): (Ipv6Addr, u16),
        life: Duration,
    ) -> Result<Self, UpnpError> {
        let gateway = find_firewall(router, there, host).await?;
        let (host, port, life) = (host.to_string(), port.to_string(), life.as_secs().to_string());
        // From everybody, at every port.
        let arguments = [
            ("RemoteHost", ""),
            ("RemotePort", "0"),
            ("InternalClient", &*host),
            ("InternalPort", &*port),
            ("Protocol", TCP),
            ("LeaseTime", &*life),
        ];
        let answer = gateway.act("AddPinhole", &arguments).await?;
        let id =
            text_of(&answer, "UniqueID").and_then(|id| id.trim().parse().ok()).ok_or(UpnpError::Answer)?;
        Ok(Self { gateway, id })
    }

    /// Makes it last for so long from now on.
    ///
    /// # Errors
    /// As in [`UpnpError`].
    pub(super) async fn renew(&self, life: Duration) -> Result<(), UpnpError> {
        let (id, life) = (self.id.to_string(), life.as_secs().to_string());
        self.gateway.act("UpdatePinhole", &[("UniqueID", &id), ("NewLeaseTime", &life)]).await.map(drop)
    }

    /// Takes it back.
    ///
    /// # Errors
    /// As in [`UpnpError`].
    pub(super) async fn remove(&self) -> Result<(), UpnpError> {
        self.gateway.act("DeletePinhole", &[("UniqueID", &self.id.to_string())]).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::upnp::tests::router, *};

    #[tokio::test]
    async fn a_hole_is_renewed_and_taken_back_by_its_number() {
        const DONE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        const GONE: &str = "HTTP/1.1 500 Internal Server Error\r\n\r\n<errorCode>704</errorCode>";
        let (gateway, serving) = router(&[DONE, GONE, DONE]).await;
        let (hole, life) = (Hole { gateway, id: 7 }, Duration::from_secs(1200));
        hole.renew(life).await.unwrap();
        // A router that was started anew knows nothing of it.
        assert!(matches!(hole.renew(life).await, Err(UpnpError::Refused(704))));
        hole.remove().await.unwrap();
        let asked = serving.await.unwrap();
        for (asked, action, arguments) in [
            (&asked[0], "UpdatePinhole", "<UniqueID>7</UniqueID><NewLeaseTime>1200</NewLeaseTime>"),
            (&asked[2], "DeletePinhole", "<UniqueID>7</UniqueID>"),
        ] {
            assert!(asked.contains(&format!(">{arguments}</u:{action}>")), "{asked}");
        }
    }
}
