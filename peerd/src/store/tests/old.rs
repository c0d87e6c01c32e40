//! A database of the last release that wrote no version byte: schema version 3, with rows in every table, the values as that
//! release wrote them.

use dos_protocol::{ViewId, directory::Delivery, limits::MESSAGE_AGAIN_MAX};
use rusqlite::types::Value;

use super::{messages::myself, *};

const SCHEMA: &str = include_str!("v3.sql");

/// Of Alice's image 7, "sea", for Bob; both peers are those of this module's tests.
const GRANT: &str = include_str!("../stored/golden/grant-0.hex");
const REQUEST: &str = include_str!("../stored/golden/request-0.hex");
const IMAGE: &str = include_str!("../stored/golden/image-0.hex");
const PUBLICATION: &str = include_str!("../stored/golden/publication-0.hex");

fn blob(hex: &str) -> Value {
    let hex = hex.trim();
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    Value::Blob((0..hex.len()).step_by(2).map(byte).collect())
}

fn filled(byte: u8, length: usize) -> Value {
    Value::Blob(vec![byte; length])
}

fn insert(connection: &Connection, table: &str, values: Vec<Value>) {
    let places = vec!["?"; values.len()].join(", ");
    let sql = format!("INSERT INTO {table} VALUES ({places})");
    connection.execute(&sql, rusqlite::params_from_iter(values)).unwrap();
}

/// The database of Bob, with an image "sea" himself, too: the owner in its row says whose it is.
fn write_old(path: &Path) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(SCHEMA).unwrap();
    let (me, owner): (Value, Value) = (id(other()).into(), id(super::me()).into());
    let text = |text: &str| Value::from(text.to_owned());
    let number = |number: i64| Value::from(number);
    connection
        .execute("UPDATE self SET peer = ?1, wanted_online = 1, stored_seq = 41, lost = 1", [&me])
        .unwrap();
    for (byte, used_at) in [(2, 5), (4, 3)] {
        insert(&connection, "copies", vec![filled(byte, 32), number(100), number(used_at), filled(1, 3)]);
    }
    let keys = || [filled(5, 60), filled(6, 60)];
    let [key, secret] = keys();
    insert(&connection, "images", vec![number(8), text("hill"), filled(2, 32), key, secret, blob(IMAGE)]);
    let [key, secret] = keys();
    insert(&connection, "publications", vec![filled(2, 32), text("sea"), key, secret, blob(PUBLICATION)]);
    let columns = [number(7), me, owner.clone(), text("sea"), number(5), number(0), filled(2, 32)];
    insert(&connection, "grants", columns.into_iter().chain([blob(GRANT)]).collect());
    insert(&connection, "shares", vec![number(7), filled(1, 16), filled(7, 60)]);
    insert(&connection, "views", vec![filled(3, 16), number(7), text("view"), number(1), Value::Null]);
    // A held view that was interrupted: it was counted down when it was opened, and is not taken up again.
    insert(&connection, "views", vec![filled(5, 16), number(7), text("offline"), number(1), filled(4, 16)]);
    let held = [filled(4, 16), number(7), filled(4, 32), number(2), number(0), filled(8, 60)];
    insert(&connection, "held", held.into());
    let columns = [number(9), number(7), number(0), number(0), number(4), blob(REQUEST), owner.clone()];
    insert(&connection, "asks", columns.into());
    insert(
        &connection,
        "messages",
        vec![
            number(3),
            owner.clone(),
            filled(9, 16),
            owner.clone(),
            text("alice"),
            number(0),
            number(0),
            number(0),
            number(1_000),
            number(0),
            Value::Null,
            text("tea?"),
        ],
    );
    let sent =
        [number(4), id(other()).into(), filled(8, 16), owner.clone(), Value::Null, number(1), number(0)];
    let rest = [number(0), number(1_001), number(1), text("queued"), text("yes")];
    insert(&connection, "messages", sent.into_iter().chain(rest).collect());
    let begun = Timestamp::now().before(MESSAGE_AGAIN_MAX / 2).0;
    insert(&connection, "sending", vec![filled(7, 16), text("alice"), number(0), number(begun), text("hi")]);
    let asked = [number(2), number(id(super::me()) + 1), text("carol"), text("denied"), number(6), number(7)];
    insert(&connection, "contacts", asked.into());
    insert(&connection, "blocks", vec![number(id(super::me()) + 2), text("dave"), number(8)]);
    connection.execute("UPDATE mailbox SET blocks_revision = 3", []).unwrap();
}

fn open_old() -> Bench {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("peerd.db");
    write_old(&path);
    let (store, thread) = Store::open(&path).unwrap();
    assert!(dos_sqlite::copy_name(&path, 3).exists(), "it is copied before it is brought up to date");
    Bench { store, _thread: thread, temp }
}

#[tokio::test]
async fn grants_requests_and_images_of_the_last_release_are_answered_as_before() {
    let bench = open_old();
    let own = bench.store.own().await.unwrap();
    assert_eq!((own.peer, own.wanted_online, own.stored, own.unknown), (Some(other()), true, Seq(41), 0));
    assert!(bench.store.has_lost().await.unwrap());
    let grant = bench.store.grant(ImageNo(7), other()).await.unwrap().unwrap();
    assert_eq!((grant.revision, grant.views_left), (Revision(5), Allowance::Views(3)));
    assert_eq!(bench.store.received(other(), None).await.unwrap(), std::slice::from_ref(&grant));
    assert_eq!(bench.store.given(me(), None).await.unwrap(), std::slice::from_ref(&grant));
    let named = bench.store.find_received(other(), "alice/sea".parse().unwrap()).await.unwrap();
    assert_eq!(named, Some(grant.clone()));
    let request = bench.store.request(9).await.unwrap().unwrap();
    assert_eq!((request.state, request.note.as_deref()), (RequestState::Denied, Some("please")));
    assert_eq!(bench.store.requests((false, true), 0).await.unwrap(), [request]);
    let image = bench.store.own_image_no(ImageNo(8)).await.unwrap().unwrap();
    assert_eq!((image.info.original.width, image.content_key), (400, vec![5; 60]));
    let publications = bench.store.publications().await.unwrap();
    assert_eq!((publications.len(), publications[0].publish.preview.data.len()), (1, 2));
    assert_eq!(bench.store.blocks(hash(2)).await.unwrap(), Some(vec![1; 3]));
    assert_eq!(bench.store.owner_share(ImageNo(7), grant.split).await.unwrap(), Some(vec![7; 60]));
}

#[tokio::test]
async fn views_messages_contacts_and_blocks_of_the_last_release_go_on() {
    let bench = open_old();
    let live = Live::default();
    let view = bench.store.take_view(live.clone(), ImageNo(7)).await.unwrap();
    assert_eq!((view.view.id(), view.resumed), (ViewId::from([3; 16]), true));
    let held = bench.store.next_held(ImageNo(7)).await.unwrap().unwrap();
    assert_eq!((held.checkout, held.hash, held.key), (ViewId::from([4; 16]), hash(4), vec![8; 60]));
    assert_eq!(bench.store.held_left(ImageNo(7)).await.unwrap(), 2);
    let (messages, more) =
        bench.store.messages(Me { id: other(), ..myself() }, Wanted::default()).await.unwrap();
    let of = |at: usize| (messages[at].place, &*messages[at].text, messages[at].delivery);
    assert_eq!((of(0), of(1), more), ((3, "tea?", None), (4, "yes", Some(Delivery::Queued)), false));
    assert_eq!(bench.store.own().await.unwrap().mail.unread, 1);
    let outgoing = Outgoing { to: "alice".into(), direct: false, text: "hi".into() };
    let sending = bench.store.begin_send(Live::default(), outgoing).await.unwrap();
    assert_eq!(sending.open.id(), dos_protocol::MessageId::from([7; 16]));
    let contacts = bench.store.contacts(true, 0).await.unwrap();
    assert_eq!((contacts[0].number, contacts[0].state), (2, RequestState::Denied));
    let blocked = bench.store.blocked_peers(None).await.unwrap();
    assert_eq!(
        (blocked[0].since, blocked[0].name.as_ref().map(ToString::to_string)),
        (Timestamp(8), Some("dave".into()))
    );
    assert_eq!(bench.store.blocks_revision().await.unwrap(), 3);
}

#[tokio::test]
async fn a_newer_state_replaces_a_row_of_the_last_release_and_an_older_one_does_not() {
    let bench = open_old();
    let known = bench.store.grant(ImageNo(7), other()).await.unwrap().unwrap();
    let with = |revision, views| Grant {
        revision: Revision(revision),
        views_left: Allowance::Views(views),
        ..known.clone()
    };
    bench.store.take_grant(with(5, 1)).await.unwrap();
    assert_eq!(bench.store.grant(ImageNo(7), other()).await.unwrap().unwrap(), known);
    bench.store.take_grant(with(6, 1)).await.unwrap();
    assert_eq!(bench.store.grant(ImageNo(7), other()).await.unwrap().unwrap(), with(6, 1));
    let version = |connection: &Connection| {
        let sql = "SELECT substr(hex(body), 1, 2) FROM grants";
        Ok(connection.query_row(sql, [], |row| row.get::<_, String>(0))?)
    };
    assert_eq!(bench.store.read(version).await.unwrap(), "01");
}
