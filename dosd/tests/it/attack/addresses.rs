//! A peer that announces addresses of others.

use dos_protocol::{
    directory::{Answer, Op, Register, SignIn},
    key::SecretKey,
    model::{Address, PeerRef},
};

use crate::net::{Client, Net, sign_in};

#[tokio::test]
async fn a_contact_has_no_address_that_cannot_lead_to_it_and_nobody_is_found_at_one() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let announced = [
        "0.0.0.0:6000",
        "224.0.0.1:6000",
        "[::ffff:255.255.255.255]:6000",
        "[64:ff9b::127.0.0.1]:6000",
        "169.254.169.254:6000",
        "203.0.113.1:22",
        "[::ffff:127.0.0.2]:6000",
        "203.0.113.1:6000",
        "192.168.7.7:6000",
    ];
    let addresses: Vec<Address> = announced.iter().map(|address| address.parse().unwrap()).collect();
    let mut mallory = Client::connect(&net, SecretKey::generate().unwrap()).await;
    let sign_in = SignIn { addresses, ..sign_in(1, dos_protocol::Seq(0)) };
    let name = Some("mallory".parse().unwrap());
    mallory.enter(Op::Register(Register { name, invite: None, password: None, sign_in })).await.unwrap();

    let mut bob = net.peer("bob").await;
    let Ok(Answer::Contact(contact)) = bob.ask(Op::Contact(mallory.id())).await else { panic!() };
    let told: Vec<String> = contact.addresses.iter().map(ToString::to_string).collect();
    // Both are on the directory's host.
    assert_eq!(told, ["127.0.0.1:4000", "127.0.0.2:6000", "203.0.113.1:6000", "192.168.7.7:6000"]);
    for address in announced {
        let at = PeerRef::Address(address.parse().unwrap());
        assert!(bob.ask(Op::Resolve(at)).await.is_err(), "somebody is found at {address}");
    }
    net.stop().await;
}
