//! What would help a peer to be reached, and to reach another one, by what was seen of both.

use dos_protocol::{
    control::{Advice, Means, SessionState, Tried},
    model::Address,
    scope::{Scope, scope_of},
};

/// What is known of this side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Here {
    pub(crate) state: SessionState,
    pub(crate) is_reachable: bool,
    /// From where the session comes, here.
    pub(crate) local: Option<Address>,
    /// From where the directory sees it come.
    pub(crate) seen: Option<Address>,
    /// Whether a router forwards its port.
    pub(crate) is_forwarded: bool,
}

impl Here {
    /// Whether a router maps the session to a port of its choice.
    fn is_remapped(self) -> bool {
        !self.is_forwarded
            && self.local.zip(self.seen).is_some_and(|(local, seen)| local.0.port() != seen.0.port())
    }
}

/// What the directory says of the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct There {
    pub(crate) is_online: bool,
    pub(crate) meets: bool,
    pub(crate) relays: bool,
}

/// What would help this side to be reached by anybody.
pub(crate) fn for_all(here: Here) -> Vec<Advice> {
    if here.state != SessionState::Online {
        return vec![Advice::GoOnline];
    }
    if !here.is_reachable {
        return vec![Advice::AllowConnections];
    }
    match here.seen {
        _ if here.is_forwarded => vec![Advice::Nothing],
        None => vec![Advice::UpdateDirectory],
        Some(_) if here.is_remapped() => vec![Advice::ForwardPort],
        Some(_) => vec![Advice::Nothing],
    }
}

/// What would help to reach one peer.
pub(crate) fn for_one(here: Here, there: There, tried: &[Tried]) -> Vec<Advice> {
    if here.state != SessionState::Online {
        return vec![Advice::GoOnline];
    }
    if !there.is_online {
        return vec![Advice::WaitForPeer];
    }
    let leads = |tried: &&Tried| tried.error.is_none() && tried.means != Some(Means::Relay);
    if tried.iter().any(|tried| leads(&tried)) {
        return vec![Advice::Nothing];
    }
    let is_near = |tried: &Tried| {
        let scope = tried.address.and_then(|address| scope_of(address.0.ip()));
        tried.means == Some(Means::Address) && scope.is_some_and(|scope| scope != Scope::Global)
    };
    let mut advice = Vec::new();
    if tried.iter().any(is_near) {
        advice.push(Advice::OpenFirewall);
    }
    if !here.is_reachable {
        advice.push(Advice::AllowConnections);
    } else if here.seen.is_none() {
        advice.push(Advice::UpdateDirectory);
    } else if !there.meets {
        advice.push(Advice::UpdatePeer);
    }
    advice.push(if here.is_remapped() { Advice::ForwardPort } else { Advice::ForwardEither });
    if !there.relays {
        advice.push(Advice::RelayOff);
    }
    advice
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here(seen: Option<&str>) -> Here {
        Here {
            state: SessionState::Online,
            is_reachable: true,
            local: "192.168.1.2:7001".parse().ok(),
            seen: seen.map(|seen| seen.parse().unwrap()),
            is_forwarded: false,
        }
    }

    const KEPT: Option<&str> = Some("203.0.113.7:7001");
    const REMAPPED: Option<&str> = Some("203.0.113.7:61002");

    #[test]
    fn this_side_is_told_what_keeps_others_out() {
        assert_eq!(for_all(Here { state: SessionState::Offline, ..here(KEPT) }), [Advice::GoOnline]);
        assert_eq!(for_all(Here { is_reachable: false, ..here(None) }), [Advice::AllowConnections]);
        assert_eq!(for_all(here(None)), [Advice::UpdateDirectory]);
        assert_eq!(for_all(here(REMAPPED)), [Advice::ForwardPort]);
        assert_eq!(for_all(here(KEPT)), [Advice::Nothing]);
        assert_eq!(for_all(Here { is_forwarded: true, ..here(REMAPPED) }), [Advice::Nothing]);
    }

    fn tried(means: Means, address: &str, error: Option<&str>) -> Tried {
        let error = error.map(Into::into);
        Tried { means: Some(means), address: address.parse().ok(), how: None, took_us: 1, error, bad: None }
    }

    #[test]
    fn what_would_help_to_reach_one_peer_depends_on_both_sides() {
        let there = There { is_online: true, meets: true, relays: true };
        let failed = tried(Means::Address, "203.0.113.9:7001", Some("refused"));
        let near = tried(Means::Address, "192.168.1.9:7001", Some("no answer"));
        let relayed = tried(Means::Relay, "", None);
        let met = tried(Means::Rendezvous, "203.0.113.9:7001", None);
        let all = [failed.clone(), relayed.clone()];
        let offline = Here { state: SessionState::Connecting, ..here(KEPT) };
        assert_eq!(for_one(offline, there, &all), [Advice::GoOnline]);
        assert_eq!(for_one(here(KEPT), There { is_online: false, ..there }, &[]), [Advice::WaitForPeer]);
        assert_eq!(for_one(here(KEPT), there, &[failed, met]), [Advice::Nothing]);
        assert_eq!(for_one(here(KEPT), there, &all), [Advice::ForwardEither]);
        assert_eq!(for_one(here(REMAPPED), there, &all), [Advice::ForwardPort]);
        let forwarded = Here { is_forwarded: true, ..here(REMAPPED) };
        assert_eq!(for_one(forwarded, there, &all), [Advice::ForwardEither]);
        let older = There { meets: false, ..there };
        assert_eq!(for_one(here(KEPT), older, &all), [Advice::UpdatePeer, Advice::ForwardEither]);
        assert_eq!(for_one(here(None), older, &all), [Advice::UpdateDirectory, Advice::ForwardEither]);
        let hidden = Here { is_reachable: false, ..here(None) };
        assert_eq!(for_one(hidden, older, &all), [Advice::AllowConnections, Advice::ForwardEither]);
        let near = [near, relayed];
        assert_eq!(for_one(here(KEPT), there, &near), [Advice::OpenFirewall, Advice::ForwardEither]);
        let alone = There { relays: false, ..there };
        assert_eq!(for_one(here(KEPT), alone, &[]), [Advice::ForwardEither, Advice::RelayOff]);
    }
}
