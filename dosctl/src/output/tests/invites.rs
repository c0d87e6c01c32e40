//! Invitations.

use dos_protocol::{
    JoinLink,
    control::{Invite, InviteGrant, InviteState},
};

use super::*;

fn invite(state: InviteState) -> Invite {
    Invite {
        id: [5; 16].into(),
        made: true,
        name: Some("bob".parse().unwrap()),
        peer: None,
        peer_name: None,
        state,
        since: now().before(Duration::from_secs(3 * 86_400)),
        expires_at: Some(now().after(Duration::from_secs(4 * 86_400))),
        used_at: None,
        grants: Vec::new(),
        trouble: None,
    }
}

fn used() -> Invite {
    let grant = |name: &str, views, why: Option<&str>| InviteGrant {
        image: name.parse().unwrap(),
        views,
        given: why.is_none(),
        why: why.map(Into::into),
    };
    Invite {
        peer: Some(BOB.parse().unwrap()),
        peer_name: Some("robert".parse().unwrap()),
        used_at: Some(now().before(Duration::from_secs(60))),
        grants: vec![
            grant("sea", Allowance::Views(3), None),
            grant("hill", Allowance::Unlimited, Some("the image is gone")),
        ],
        trouble: Some("someone else with the link\u{1b}[2J came".into()),
        ..invite(InviteState::Used)
    }
}

fn joined(state: InviteState, trouble: Option<&str>) -> Invite {
    let alice: Option<dos_protocol::PeerName> = Some("alice".parse().unwrap());
    Invite {
        made: false,
        name: alice.clone(),
        peer: Some(ALICE.parse().unwrap()),
        peer_name: alice,
        expires_at: None,
        trouble: trouble.map(Into::into),
        ..invite(state)
    }
}

fn link() -> JoinLink {
    let key = dos_protocol::PublicKey::from([9; 32]);
    format!("dos://{key}@dos.example:5001?invite=Ab3").parse().unwrap()
}

fn all() -> Vec<Invite> {
    vec![
        invite(InviteState::Open),
        used(),
        Invite { state: InviteState::Revoked, ..invite(InviteState::Open) },
        joined(InviteState::Waiting, None),
        joined(InviteState::Refused, Some("the link was revoked")),
    ]
}

#[test]
fn people_see_what_has_become_of_invitations() {
    let promised = Invite { grants: used().grants, ..invite(InviteState::Open) };
    insta::assert_snapshot!(text(|text| {
        human::invitation(text, &link(), &promised);
        human::invites(text, &all());
        human::revoked(text, &invite(InviteState::Revoked));
        human::joined(text, &joined(InviteState::Welcome, None));
        human::joined(text, &joined(InviteState::Waiting, None));
        human::joined(text, &joined(InviteState::Waiting, Some("an answer came that proves nothing")));
    }));
    insta::assert_snapshot!("nobody", text(|text| human::invites(text, &[])));
}

#[test]
fn events_of_invitations_are_one_line_each() {
    let events = [
        used(),
        invite(InviteState::Open),
        joined(InviteState::Welcome, None),
        joined(InviteState::Refused, None),
    ];
    insta::assert_snapshot!(text(|text| {
        for invite in events {
            human::event(text, &Event::new(now(), EventKind::Invite(Box::new(invite))));
        }
    }));
}

#[test]
fn documents_of_invitations_have_the_documented_keys() {
    let invites = all();
    let documents = [
        json::document(&json::Invitation::new(&link(), &invites[0])),
        json::document(&json::Invites::new(&invites[1..2])),
    ];
    insta::assert_snapshot!(documents.map(Result::unwrap).concat());
}
