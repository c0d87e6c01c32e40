//! One attempt to sign in, or to register: at the addresses of the directory one after the other, and, where it does not know this peer any more, with
//! the proof that it did.

use dos_protocol::{
    PeerName,
    directory::{Op, Reclaim, Register, SignIn},
    sealing::sealing_key,
};

use super::{
    Local,
    connection::{Established, Failure, establish},
    state::Failed,
    ways::{Last, Ways},
};
use crate::{
    addresses::announced,
    identity::Identity,
    random::{self, jitter},
    store::Attempting,
};

/// What a peer that registers brings.
pub(super) struct Entrance {
    pub(super) name: Option<PeerName>,
    pub(super) invite: Option<Box<str>>,
}

/// The ways to the directory, from the port at which this daemon listens if others may connect to that.
fn ways_of(local: &Local, identity: &Identity) -> Ways {
    let ways = Ways::of(&identity.server, local.last.lock().as_ref(), jitter());
    if local.config.reachable { ways.sharing(local.listen) } else { ways }
}

/// Signs in once, or registers: at the first node that does not fail to.
pub(super) async fn attempt(
    local: &Local,
    identity: &Identity,
    (entrance, force): (Option<Entrance>, bool),
) -> Result<Established, Failure> {
    let mut ways = ways_of(local, identity);
    loop {
        let outcome = attempt_once(local, identity, &mut ways, (entrance.as_ref(), force)).await;
        match &outcome {
            Err(failure) if failure.kind == Failed::Unreachable && ways.has_more() => {}
            Ok(established) => {
                let (at, directory) = (established.at.clone(), established.directory);
                *local.last.lock() = Some(Last { at, directory });
                return outcome;
            }
            Err(_) => return outcome,
        }
    }
}

async fn attempt_once(
    local: &Local,
    identity: &Identity,
    ways: &mut Ways,
    (entrance, force): (Option<&Entrance>, bool),
) -> Result<Established, Failure> {
    let refused = |error| Failure::refused(error);
    let nonce = random::bytes::<16>().map_err(|error| refused(error.into()))?;
    let begun = local.store.begin_attempt(nonce.into()).await.map_err(|error| refused(error.into()))?;
    let Attempting { stored, state, proof } = begun;
    let mapped = local.mapped.borrow().address;
    let (port, addresses) = announced(&local.config, (local.listen, mapped), &identity.server);
    let state = Some(state);
    // No seed fails here.
    let sealing = sealing_key(&identity.secret).ok().map(Box::new);
    let sign_in = SignIn {
        instance: local.instance,
        port,
        addresses,
        force,
        stored,
        sealing,
        state,
        rendezvous: local.config.reachable,
    };
    let op = match entrance {
        Some(Entrance { name, invite }) => {
            let (name, invite) = (name.clone(), invite.clone());
            Op::Register(Register { name, invite, password: None, sign_in })
        }
        None => Op::SignIn(sign_in),
    };
    let again = if let Op::SignIn(sign_in) = &op { Some(sign_in.clone()) } else { None };
    let failure = match Box::pin(establish(ways, identity, (op, stored))).await {
        Err(failure) if failure.kind == Failed::Unknown => failure,
        other => return other,
    };
    // A directory that was restored may have forgotten this peer.
    let (Some(id), Some(proof), Some(sign_in)) = (identity.id, proof, again) else { return Err(failure) };
    let reclaim = Reclaim { id, name: identity.name.clone(), proof, sign_in };
    let reclaim = Op::Reclaim(Box::new(reclaim));
    let mut ways = ways_of(local, identity);
    match Box::pin(establish(&mut ways, identity, (reclaim, stored))).await {
        Err(Failure { kind: Failed::Refused | Failed::Unknown, .. }) => Err(failure),
        other => other,
    }
}
