//! Messages, requests for contact and blocks.

use dos_protocol::{
    MessageId,
    control::{ContactRequest, Message, Way},
    directory::{Block, Blocked, Delivery},
};

use super::*;

fn message(text: &str) -> Message {
    Message {
        place: 41,
        message: MessageId::from([1; 16]),
        from: BOB.parse().unwrap(),
        from_name: Some("bob".parse().unwrap()),
        to: Some(ALICE.parse().unwrap()),
        to_name: Some("alice".parse().unwrap()),
        sent_at: now().before(Duration::from_secs(60)),
        read: false,
        direct: false,
        delivery: None,
        text: text.into(),
        signed: true,
    }
}

fn messages() -> Vec<Message> {
    let hostile = "first\u{1b}[2J\r\n\tsecond\n* 2023-11-14T22:12:20Z  carol to alice: fake\n\n";
    vec![
        message("hello"),
        Message { read: true, direct: true, ..message(hostile) },
        Message { to: None, to_name: None, from_name: None, ..message("lunch?") },
        Message { read: true, delivery: Some(Delivery::Queued), ..message("later") },
        message("\n"),
    ]
}

fn contact(state: RequestState) -> ContactRequest {
    ContactRequest {
        number: 3,
        from: BOB.parse().unwrap(),
        from_name: Some("bob".parse().unwrap()),
        state,
        created_at: now().before(Duration::from_secs(7200)),
        decided_at: (state != RequestState::Pending).then(now),
    }
}

fn blocked(rights: u64) -> Blocked {
    let name = Some("bob".parse().unwrap());
    Blocked { peer: BOB.parse().unwrap(), name, messages_purged: rights, requests_purged: rights, rights }
}

fn block() -> Block {
    Block { peer: BOB.parse().unwrap(), name: None, since: now().before(Duration::from_secs(3600)) }
}

fn ways() -> [(Delivery, Option<Way>); 4] {
    let direct = Way::Direct("192.0.2.7:4000".parse().unwrap());
    [
        (Delivery::Delivered, None),
        (Delivery::Queued, None),
        (Delivery::Delivered, Some(direct)),
        (Delivery::Delivered, Some(Way::Relayed)),
    ]
}

fn sent((state, way): (Delivery, Option<Way>)) -> json::Sent<'static> {
    json::Sent::new(MessageId::from([1; 16]), BOB.parse().unwrap(), None, state, way)
}

fn message_events() -> Vec<Event> {
    let told = messages().into_iter().map(|message| EventKind::Message(Box::new(message)));
    let asked = std::iter::once(EventKind::Contact(Box::new(contact(RequestState::Pending))));
    told.chain(asked).map(|what| Event::new(now(), what)).collect()
}

#[test]
fn documents_of_messages_have_the_documented_keys() {
    let all = messages();
    let borrowed: Vec<&Message> = all.iter().collect();
    let contact = contact(RequestState::Approved);
    let mut documents = vec![
        json::document(&json::Messages::new(&borrowed)),
        json::document(&json::Message::from(&all[0])),
        json::document(&json::Told { told: 3 }),
        json::document(&json::Contact::from(&contact)),
        json::document(&json::Requests::new(&[], &[], std::slice::from_ref(&contact))),
        json::document(&json::Blocked::from(&blocked(2))),
        json::document(&json::Unblocked { peer: BOB.parse().unwrap(), name: None }),
        json::document(&json::Blocks::new(&[block()])),
    ];
    documents.extend(ways().map(|way| json::document(&sent(way))));
    documents.extend(message_events().iter().map(|event| json::document(&json::Event::from(event))));
    insta::assert_snapshot!(documents.into_iter().map(Result::unwrap).collect::<String>());
}

#[test]
fn people_see_messages_that_cannot_pretend_to_be_others() {
    let all = messages();
    let shown = text(|text| human::messages(text, &all.iter().collect::<Vec<_>>(), false));
    assert!(!shown.contains('\u{1b}'));
    assert_eq!(shown.lines().filter(|line| line.starts_with("* ")).count(), 3);
    let none =
        text(|text| human::messages(text, &[], false)) + &text(|text| human::messages(text, &[], true));
    let events = text(|text| message_events().iter().for_each(|event| human::event(text, event)));
    insta::assert_snapshot!(shown + &none + &events);
}

#[test]
fn people_see_what_became_of_a_message_a_block_and_a_question() {
    let sends = text(|text| ways().iter().for_each(|way| human::sent(text, &sent(*way))));
    let blocks = text(|text| [0, 2].iter().for_each(|rights| human::blocked(text, &blocked(*rights))));
    let list = text(|text| human::blocks(text, &[block()])) + &text(|text| human::blocks(text, &[]));
    let states = [RequestState::Pending, RequestState::Approved, RequestState::Denied].map(contact);
    let decided = text(|text| states.iter().for_each(|contact| human::contact(text, contact)));
    let table = text(|text| human::requests(text, (Some(&[]), Some(&[])), &states, true));
    insta::assert_snapshot!(sends + &blocks + &list + &decided + &table);
}
