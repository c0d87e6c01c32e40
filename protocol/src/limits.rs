//! Every bound of the protocol, with its reason. Sizes in bytes, times as [`Duration`]s, unless a name says otherwise.

use std::time::Duration;

/// The largest frame. A publication (metadata, a preview of up to 256 KiB) and a page of a listing fit many times;
/// a peer that announces more is cut off before anything is allocated.
pub const FRAME_BYTES_MAX: usize = 1 << 20;

/// The largest frame of a peer that has not signed in. The largest request to come online or to log in has less than 3 KiB; the
/// rest is room to grow.
pub const UNSIGNED_FRAME_BYTES_MAX: usize = 8 << 10;

/// How deep a CBOR item may be nested. Our deepest message has 8 levels; deeper ones only exhaust a stack.
pub const CBOR_DEPTH_MAX: usize = 24;

/// Room for a frame's body grows by this much while its bytes arrive, so that a length alone costs nothing.
pub const FRAME_GROWTH_BYTES: usize = 16 << 10;

/// A TLS handshake is a round trip and a signature; ten seconds forgive any network worth using.
pub const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// After the handshake a peer says who it is, or gives up the place.
pub const SIGN_IN_TIME_MAX: Duration = Duration::from_secs(10);

/// A frame that has begun arrives within this time; a slow sender does not hold a buffer for long.
pub const FRAME_TIME_MAX: Duration = Duration::from_secs(30);

/// A peer that takes nothing for so long is gone or hostile; its connection is closed, its inbox kept.
pub const WRITE_STALL_MAX: Duration = Duration::from_secs(15);

/// The directory pings a session that has been silent for so long ...
pub const PING_AFTER: Duration = Duration::from_secs(10);

/// ... a little earlier or later, so that thousands of sessions do not do it together.
pub const PING_JITTER: Duration = Duration::from_secs(2);

/// A session that is silent for so long is dropped. Two pings go unanswered before.
pub const SILENCE_MAX: Duration = Duration::from_secs(30);

/// An answer from the directory that takes longer is as good as none; a durable operation takes milliseconds.
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);

/// Connecting to the directory or a peer, without the handshake.
pub const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// Requests of one session that may be under way together; the next is read when one is answered.
pub const REQUESTS_IN_FLIGHT_MAX: usize = 64;

/// What waits to be written to one session besides answers: pushes, pings, notices.
pub const SESSION_QUEUE_MAX: usize = 64;

/// Updates that are sent to a peer before it has acknowledged the first of them.
pub const UPDATES_UNACKED_MAX: usize = 256;

/// The first byte of a connection follows its first packet; whoever sends nothing within this time has nothing to say.
pub const FIRST_BYTE_TIME_MAX: Duration = Duration::from_secs(2);

/// Connections to a directory that have not signed in, if there may be that many open files: all peers behind a large company's
/// address come back together and wait for their turn, while each costs a file descriptor and 4 KB.
pub const UNSIGNED_MAX: usize = 16_384;

/// Of these, connections that are worked for: each costs the memory of a handshake, some 30 KB and never more than 100. Displacing
/// those of the largest crowd keeps some free for newcomers.
pub const HANDSHAKES_MAX: usize = 512;

/// Of these, connections from one address: at a round trip of 100 ms still a thousand sign-ins a second.
pub const HANDSHAKES_PER_ADDRESS: usize = 128;

/// A handshake and sign-in that take longer go after others that wait; nobody has to wait for them otherwise.
pub const HANDSHAKE_GRACE: Duration = Duration::from_secs(3);

/// The listen backlog: what reconnects at once after a restart of the directory (the kernel may cap it lower).
pub const LISTEN_BACKLOG: u32 = 8192;

/// A directory is a small server; each session costs about 20 KB of memory.
pub const SESSIONS_MAX: u32 = 100_000;

/// Sessions from one address: a company behind one address has its room, and leaves some to others.
pub const SESSIONS_PER_ADDRESS: u32 = 20_000;

/// Handshakes from one address in a minute, and at once: everybody behind it comes back after a restart, while 200 a second
/// take a sixth of one core.
pub const HANDSHAKES_PER_MINUTE: u32 = 12_000;

/// Requests of one peer in a second: ten scripts at once, and far from what the directory can do.
pub const REQUESTS_PER_SECOND: u32 = 500;

/// Messages of one peer in a minute: what a program may say; people say less.
pub const MESSAGES_PER_MINUTE: u32 = 600;

/// Bytes of all previews of one peer: 20,000 previews of 12 KB (or 6,000 of 512x512 pixels), which is the collection of a person; a disk
/// of 20 GB bears some dozens of such.
pub const PREVIEW_BYTES_PER_PEER: u64 = 256 << 20;

/// Bytes of the rows of one peer: all the images that it may publish, and as many grants and requests.
pub const ROW_BYTES_PER_PEER: u64 = 128 << 20;

/// Bytes that wait for one peer: 4,000 messages of the largest size, 100,000 grants. Receipts may go beyond it.
pub const INBOX_BYTES_MAX: u64 = 64 << 20;

/// Bytes that one peer has waiting for all others: what it can fill of a disk by talking to peers that never come.
pub const SENT_BYTES_PER_PEER: u64 = 64 << 20;

/// Bytes of the answers that the directory keeps for changes of one peer: some 10,000; of more, the oldest go before their time.
pub const OPERATION_BYTES_PER_PEER: u64 = 8 << 20;

/// Bytes of the disk that stay free for what is never refused: revocations, answers, receipts of views. That is millions of
/// them, and what may come between two looks at the disk.
pub const DISK_RESERVE_BYTES: u64 = 1 << 30;

/// A directory whose disk is full may have room again after this time.
pub const ROOM_PAUSE: Duration = Duration::from_secs(60);

/// Views of one peer in a minute, and at once: a person looks at fewer, and each takes some 300 bytes of the directory's disk
/// for as long as its receipt is kept.
pub const VIEWS_PER_MINUTE: u32 = 600;

/// Updates that wait for one peer: one that is away for a year still gets what matters, and a disk is not filled by it.
pub const INBOX_ROWS_MAX: u32 = 100_000;

/// A peer's name fits a table column.
pub const PEER_NAME_CHARS_MAX: usize = 32;

/// An image's name fits a file name with room for a suffix.
pub const IMAGE_NAME_BYTES_MAX: usize = 100;

/// A description of an image: some sentences, which a screen reader speaks in half a minute. With it a page of [`PAGE_MAX`] images
/// of the largest kind, with all else that their owners say of them, takes less than nine tenths of a frame.
pub const DESCRIPTION_BYTES_MAX: usize = 500;

/// Images that one peer may publish: more than a person's collection, less than what would fill a small server's disk with
/// rows (each takes less than 1 KB beside its preview).
pub const IMAGES_PER_PEER_MAX: u32 = 100_000;

/// A preview of 256x256 pixels has 12 KB, rarely 30; one of noise in loud colours 60.
pub const PREVIEW_BYTES_MAX: usize = 64 << 10;

/// A preview fits in a square of so many pixels, where the directory's operator wants nothing else.
pub const PREVIEW_PIXELS: u32 = 256;

/// A preview of 512x512 pixels has four times as many bytes as one of 256x256. It fits in a frame beside everything else.
pub const LARGE_PREVIEW_BYTES_MAX: usize = 4 * PREVIEW_BYTES_MAX;

/// The largest square that a directory keeps previews for: a larger preview would be as good as many an original.
pub const LARGE_PREVIEW_PIXELS: u32 = 512;

/// A ThumbHash: 5 bytes of averages, and at most 38 of its coefficients, two to a byte.
pub const THUMBHASH_BYTES_MAX: usize = 25;

/// The largest original. Nothing of it is held in memory whole; its sealed copy stays below 16 GiB, whose list of
/// blocks has 512 KiB.
pub const ORIGINAL_BYTES_MAX: u64 = (16 << 30) - (16 << 20);

/// Entries of a listing's page, at most; a page of the largest entries stays well below a frame.
pub const PAGE_MAX: u32 = 500;

/// Entries of a listing's page when nothing is said.
pub const PAGE_DEFAULT: u32 = 100;

/// Views in one grant. More is the same as unlimited to a person.
pub const VIEWS_MAX: u32 = 1_000_000_000;

/// View IDs in one report that their views are over: one transaction of the directory, and a frame of some 10 KB.
pub const VIEWS_CLOSED_MAX: usize = 500;

/// A piece of an original or a sealed copy in a frame: large enough to be fast, small enough to be patient with.
pub const DATA_BYTES_MAX: usize = 256 << 10;

/// Connections of other peers that one peerd serves together.
pub const PEER_CONNECTIONS_MAX: usize = 256;

/// Of these, connections that came to its port: the others are kept for calls through the relay, of which the directory has at
/// most [`RELAY_CALLS_PER_PEER`] for one peer.
pub const PEER_CONNECTIONS_DIRECT_MAX: usize = 224;

/// Connections of one contact: twice the transfers that its daemon makes together.
pub const PEER_CONNECTIONS_PER_PEER: usize = 32;

/// Connections of all peers that are no contacts: they ask to be let in, or ping.
pub const PEER_STRANGERS_CONNECTIONS_MAX: usize = 64;

/// Connections of one of them.
pub const PEER_STRANGERS_CONNECTIONS_PER_PEER: usize = 4;

/// Connections of those of one address: there may be more than one peer behind it.
pub const PEER_STRANGERS_CONNECTIONS_PER_ADDRESS: usize = 16;

/// Connections to one peerd of which is not known yet whose they are, if there may be that many open files.
pub const PEER_UNKNOWN_MAX: usize = 1_024;

/// Of these, connections that are worked for, some 30 KB each; of one address, or of one peer that calls through the relay.
pub const PEER_HANDSHAKES_MAX: usize = 64;

/// See [`PEER_HANDSHAKES_MAX`].
pub const PEER_HANDSHAKES_PER_ADDRESS: usize = 16;

/// Calls through the relay of which is not known yet whether anybody comes, of one peer: as many as the directory has between
/// the same two.
pub const PEER_CALLS_PER_PEER: usize = 8;

/// Whose a key is, is known within this time, from one's own memory or from the directory, or the connection ends.
pub const IDENTIFY_TIME_MAX: Duration = Duration::from_secs(5);

/// Keys of strangers about which one peerd asks the directory in a second, ten seconds' worth at once: a tenth of its requests.
pub const IDENTIFICATIONS_PER_SECOND: u64 = 50;

/// Of these, keys that come from one address.
pub const IDENTIFICATIONS_PER_SECOND_PER_ADDRESS: u64 = 10;

/// Grants that one peer claims and that its owner does not know: in a second, ten seconds' worth at once. A viewer may have heard
/// of a grant a moment before its owner has.
pub const GRANTS_ASKED_PER_SECOND: u64 = 5;

/// The largest frame from a peer to the one that it calls: a message of 16 KiB, and room to grow.
pub const PEER_FRAME_BYTES_MAX: usize = 64 << 10;

/// Changes in one command of dosctl: their outcomes, of less than 1 KB each, fit in a frame.
pub const MANY_MAX: usize = 500;

/// Groups of peers, and peers in one of them: all of them fit in a frame, and more than a person can keep apart.
pub const GROUPS_MAX: u32 = 100;

/// Rules by which peers get what comes into albums: an image that comes into one is shared at most this often at once.
pub const ALBUM_RULES_MAX: u32 = 1_000;

/// See [`GROUPS_MAX`].
pub const GROUP_MEMBERS_MAX: u32 = 100;

/// Connections on peerd's control socket served together.
pub const CONTROL_CONNECTIONS_MAX: usize = 256;

/// Addresses that a peer may announce.
pub const ADDRESSES_MAX: usize = 16;

/// A free text in a message, such as a reason or a note.
pub const TEXT_BYTES_MAX: usize = 1 << 10;

/// The first delay before reconnecting; it doubles, jittered, up to [`RECONNECT_DELAY_MAX`].
pub const RECONNECT_DELAY_MIN: Duration = Duration::from_millis(100);

/// The longest delay before reconnecting.
pub const RECONNECT_DELAY_MAX: Duration = Duration::from_secs(30);

/// A session that lasted for less was a brief one: the next attempt comes as late as after a failure.
pub const BRIEF_SESSION: Duration = Duration::from_secs(5);

/// Brief sessions in a row count as at most N failures, so that the next attempt comes within 3.2 s: the directory lets peers in, it has
/// only crashed again. Where it cannot take them all, attempts fail, and their delays grow as always.
pub const BRIEF_SESSIONS_MAX: u32 = 5;

/// A peer whose session the operator has ended comes back by itself after so long.
pub const KICKED_DELAY: Duration = Duration::from_secs(60);

/// A daemon that is told to stop has finished within this time, or stops anyway.
pub const SHUTDOWN_TIME_MAX: Duration = Duration::from_secs(4);

/// Requests of one viewer that may wait for one owner's answer; more is a nuisance to that owner.
pub const REQUESTS_PENDING_MAX: u64 = 100;

/// Things of one kind that a peer asserts in one request: a batch is one transaction of the directory, some milliseconds.
pub const ASSERTED_MAX: usize = 100;

/// How long an invite lasts if nothing else is said: long enough to be sent and read, short enough to be forgotten.
pub const INVITE_TIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// Registrations that one invite may be for.
pub const INVITE_USES_MAX: u32 = 1_000_000;

/// Invites that a directory keeps; a script that makes them in a loop stops there.
pub const INVITES_MAX: u64 = 10_000;

/// Invites that are used up or have expired stay in the list for so long.
pub const INVITE_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Invites that peers may have made together: the operator always has room for as many of its own.
pub const PEER_INVITES_MAX: u64 = INVITES_MAX / 2;

/// The most invites that an operator can let one peer make in a day.
pub const PEER_INVITES_PER_DAY_MAX: u32 = 1_000;

/// Invitations of one peer that are open: as many people as one writes to in a week.
pub const INVITATIONS_OPEN_MAX: u32 = 100;

/// Grants that come with one invitation: each costs its inviter's daemon a request when it is used.
pub const INVITE_GRANTS_MAX: usize = 100;

/// Answers to guests that wait to be sent: more than are ever used in one moment by people. Of more, the newest are not answered, and
/// their daemons ask again.
pub const INVITE_ANSWERS_MAX: u32 = 256;

/// An inviter that is online answers its guest within this time, grants included, or the guest's command does not wait for it.
pub const INVITE_ANSWER_TIME: Duration = Duration::from_secs(5);

/// Registrations from one address (IPv6: one /64, which is one host's) in a minute, and at once, if the operator says
/// nothing else: a host may run a few dozen daemons.
pub const REGISTRATIONS_PER_MINUTE: u32 = 60;

/// Broadcasts of one peer in a minute, and at once, if the operator says nothing else: each one disturbs everybody.
pub const BROADCASTS_PER_MINUTE: u32 = 6;

/// Addresses whose registrations, and peers whose broadcasts are counted one by one; others share one allowance. An entry
/// lives for a minute at most.
pub const ATTEMPTS_REMEMBERED_MAX: usize = 65_536;

/// An operator's ping that is not answered for so long counts as lost.
pub const PING_TIME_MAX: Duration = Duration::from_secs(5);

/// Pings of one command to one peer.
pub const PINGS_MAX: u32 = 100;

/// Operators' pings to one session under way together.
pub const SESSION_PINGS_MAX: usize = 16;

/// The longest delay of a shutdown; nobody plans further ahead.
pub const SHUTDOWN_DELAY_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// A password that is shorter is guessed (NIST SP 800-63B, section 5.1.1.2).
pub const PASSWORD_CHARS_MIN: usize = 8;

/// A password that is longer is a mistake.
pub const PASSWORD_BYTES_MAX: usize = 1 << 10;

/// Wrong passwords for one name before its password login is locked.
pub const PASSWORD_TRIES: u32 = 3;

/// Password logins from one address (as in [`REGISTRATIONS_PER_MINUTE`]) in a minute, and at once: nobody mistypes so often.
pub const PASSWORDS_PER_MINUTE: u32 = 30;

/// Password logins that have begun and not ended, in one directory: one takes the time of a few multiplications and then waits
/// for its peer, which stretches the password. Whoever comes beyond is told to come back.
pub const LOGINS_PENDING_MAX: usize = 128;

/// A peer that has begun a password login ends it within this time: stretching the password takes seconds on a slow machine.
pub const LOGIN_TIME_MAX: Duration = Duration::from_secs(20);

/// The largest message or record of OPAQUE has 320 bytes, a sealed seed 61.
pub const BLOB_BYTES_MAX: usize = 512;

/// Names whose wrong passwords are remembered one by one; the one that was tried longest ago makes room. Trying so many
/// takes longer than any lock-out.
pub const PASSWORD_NAMES_MAX: usize = 65_536;

/// Wrong passwords are forgotten when none was tried for so long.
pub const PASSWORD_MEMORY: Duration = Duration::from_secs(24 * 3600);

/// How long the first lock-out lasts if the operator says nothing else; each further one lasts twice as long ...
pub const BLOCK_DURATION: Duration = Duration::from_secs(60);

/// ... up to this, so that an attacker cannot keep the owner out for long.
pub const BLOCK_DURATION_MAX: Duration = Duration::from_secs(3600);

/// The text of a message: several pages; longer things are files.
pub const MESSAGE_BYTES_MAX: usize = 16 << 10;

/// The directory remembers the IDs of messages for so long: a sender that lost the answer asks again within minutes.
pub const MESSAGE_REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// The directory remembers the IDs of changes for this time: a peer that lost the answer asks again with the same ID as
/// soon as it is online, and a person who repeats a command after a failure does so within the day.
pub const OPERATION_REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// A message to an online peer counts as queued if that peer does not acknowledge it within this time.
pub const DELIVERY_TIME_MAX: Duration = Duration::from_secs(5);

/// Messages of one sender that wait for one recipient: some 16 MB at most, and more is a nuisance.
pub const INBOX_ROWS_PER_SENDER: u32 = 1_000;

/// A sender that lost the answer and sends the same text to the same peer again within this time means the same message:
/// well below [`MESSAGE_REMEMBERED`], and soon enough that nobody says the same thing twice on purpose and is not heard.
pub const MESSAGE_AGAIN_MAX: Duration = Duration::from_secs(3600);

/// Messages whose outcome is not known; of more, the oldest ones are no longer expected.
pub const MESSAGES_UNANSWERED_MAX: u32 = 1_000;

/// Messages that a daemon keeps; then the oldest read ones go, and only then unread ones.
pub const MESSAGES_KEPT_MAX: u64 = 100_000;

/// The bytes of their texts: no peer can fill the disk with what it says.
pub const MESSAGES_KEPT_BYTES_MAX: u64 = 256 << 20;

/// The bytes of texts in one page of messages; with one more message it stays well below a frame.
pub const MESSAGES_PAGE_BYTES_MAX: usize = 256 << 10;

/// Messages that one command shows: at most 16 MiB.
pub const MESSAGES_SHOWN_MAX: u32 = 1_000;

/// Direct messages of one sender that may be unread: nobody's daemon can be filled over a connection that no directory
/// watches.
pub const DIRECT_UNREAD_MAX: u64 = 1_000;

/// Peers that may wait for the answer whether they may send direct messages; others are refused until then.
pub const CONTACTS_PENDING_MAX: u64 = 100;

/// Peers about whose direct messages a daemon remembers a decision.
pub const CONTACTS_MAX: u64 = 10_000;

/// Peers that one peer may block: a list of them fits a frame.
pub const BLOCKS_MAX: usize = 10_000;

/// Peers that one subscription may name; whoever wants more subscribes to everybody.
pub const SUBSCRIBED_PEERS_MAX: usize = 1_000;

/// Peers that one session may follow: with what the directory says of each, and a page of their images, an answer fits a frame.
pub const FOLLOWED_MAX: usize = 500;

/// How far back the directory looks for images of followed peers, in numbers of images of all peers: so much is read in a tenth of a second.
pub const FOLLOWED_NUMBERS_MAX: u64 = 100_000;

/// Peers that an update tells already and that need no push, as far as one node tells that to another one; with more, some learn a thing twice.
pub const NEWS_EXCEPT_MAX: usize = 1_000;

/// Changes of presence in one push: some 100 bytes each, well within a frame.
pub const PRESENCE_PER_PUSH_MAX: usize = 500;

/// Between two pushes of presence to one subscriber: what changes meanwhile is told together.
pub const PRESENCE_PAUSE: Duration = Duration::from_millis(250);

/// Peers whose last change of presence is kept for subscribers, the latest ones; some 100 bytes each, and nothing while
/// nobody subscribes. At the pace of the pushes a subscriber is through with them in half a minute.
pub const PRESENCE_KEPT: usize = 65_536;

/// A call through the relay is answered within this time or not at all.
pub const RELAY_TICKET_TIME: Duration = Duration::from_secs(10);

/// The receipt of a view, by which the same view asked again counts nothing, is kept for so long at least: a viewer's
/// daemon that lost the answer asks again as soon as it is online.
pub const RECEIPT_AGE_MIN: Duration = Duration::from_secs(30 * 24 * 3600);

/// Calls that one directory relays together if the operator says nothing else: 128 KiB of memory each, and by far more
/// than a directory's line can make fast.
pub const RELAY_CALLS: u32 = 256;

/// Of these, calls that one peer makes or takes: an owner who is reached in no other way serves that many viewers.
pub const RELAY_CALLS_PER_PEER: u32 = 16;

/// Of these, calls between the same two peers: one peer alone does not take all the places of another.
pub const RELAY_CALLS_PER_PAIR: u64 = 8;

/// Tickets of which not both sides have come, in all: a connection each, for ten seconds at most. They count against the peers
/// that asked for them, and against no other; those of the peer with the most make room.
pub const RELAY_TICKETS_MAX: u64 = 1_024;

/// The largest number that an operator can set for relayed calls: each takes two file descriptors.
pub const RELAY_CALLS_MAX: u32 = 10_000;

/// Bytes that one directory relays in a second if the operator says nothing else: eight gigabit lines. It keeps a
/// processor for the sessions; whoever pays for traffic sets less.
pub const RELAY_BYTES_PER_SECOND: u64 = 1_000_000_000;

/// Of these, bytes of one peer's calls, made and taken: two peers together do not keep others out.
pub const RELAY_BYTES_PER_SECOND_PER_PEER: u64 = 500_000_000;

/// Slower than this nothing arrives, and a limit is a mistake.
pub const RELAY_BYTES_PER_SECOND_MIN: u64 = 1_000;

/// A relayed call on which nothing moves for so long ends, if the operator says nothing else. Two peers that still have
/// something to say to each other let at most half of this pass.
pub const RELAY_IDLE: Duration = Duration::from_secs(60);

/// Where there is no room for another relayed call, one on which nothing has moved for so long makes room. Peers keep a connection open for what is
/// asked for next, and a transfer on which nothing comes for so long has been left for another way ([`WAY_STALL_TIME`]).
pub const RELAY_SPARE_AFTER: Duration = Duration::from_secs(5);

/// What is read at a time from either side of a relayed call. Measured on loopback: a gigabyte takes 0.4 s of one processor
/// with 32 to 256 KiB, 0.5 s with 16.
pub const RELAY_PIECE_BYTES: usize = 64 << 10;

/// Addresses of a peer are tried so far apart, the next one at once if one fails (RFC 8305, section 5, "Connection
/// Attempt Delay").
pub const ADDRESS_DELAY: Duration = Duration::from_millis(250);

/// Attempts of one peerd to connect to one host that did not lead to a peer there, in [`HOST_ATTEMPTS_TIME`], whichever peers
/// announce its addresses: enough to find somebody at one of three ports, and of no use to whoever wants a host disturbed.
pub const HOST_ATTEMPTS: usize = 3;

/// See [`HOST_ATTEMPTS`].
pub const HOST_ATTEMPTS_TIME: Duration = Duration::from_secs(1);

/// All addresses of a peer together get so long, with their handshakes.
pub const DIRECT_TIME_MAX: Duration = Duration::from_secs(3);

/// After this time the relay is asked beside the addresses. A peer in the same network or the same country has answered by then, and costs the
/// relay nothing.
pub const RELAY_HANDICAP: Duration = Duration::from_millis(150);

/// From the beginning on a relayed connection that is up waits so long for a direct one.
pub const DIRECT_PREFERRED_TIME: Duration = Duration::from_millis(300);

/// After this time a rendezvous is asked for beside the addresses. A peer in the same network has answered by then, and costs the
/// directory nothing.
pub const RENDEZVOUS_HANDICAP: Duration = Duration::from_millis(50);

/// From the beginning on a relayed connection that is up waits so long for a rendezvous, if one led to that peer the last time: on a path of
/// 150 ms there and back it takes six of these, with the directory as far away.
pub const RENDEZVOUS_PREFERRED_TIME: Duration = Duration::from_secs(1);

/// A rendezvous begins within this time after the directory has told of it: half of the longest round trip that it waits for.
pub const RENDEZVOUS_BEGIN_MAX: Duration = Duration::from_millis(500);

/// Attempts of one side of a rendezvous to connect to where the other's session is seen: where routers answer what they do not expect,
/// the first ones may come too early. Of no use to whoever wants a host disturbed.
pub const PUNCH_TRIES: u32 = 6;

/// Addresses at which the called side of a rendezvous looks for the caller.
pub const CALL_BACK_ADDRESSES: usize = 3;

/// Rendezvous of one peer in a minute, and at once: a connection that has come about is kept for a minute, so that these are as many
/// owners.
pub const RENDEZVOUS_PER_MINUTE: u32 = 120;

/// Rendezvous that one peerd takes part in together, called ones; the callers of more go through the relay.
pub const RENDEZVOUS_CALLED_MAX: usize = 8;

/// Of these, those that begin in a minute, and at once: so few that a directory that lies has nobody disturbed by them.
pub const RENDEZVOUS_CALLED_PER_MINUTE: u64 = 60;

/// Of these, rendezvous with one peer together.
pub const RENDEZVOUS_CALLED_PER_PEER: usize = 2;

/// Connections of one rendezvous that its caller looks at: those of the ways that there are, and of somebody in between who knows the ticket.
pub const RENDEZVOUS_CONNECTIONS: usize = 4;

/// A way on which a transfer waits and nothing comes for so long has others asked beside it; the first of all that brings something goes on. An
/// owner whose disk sleeps, or that is stopped for a moment, has answered by then, and a person has not given up.
pub const WAY_STALL_TIME: Duration = Duration::from_secs(4);

/// The others get so long, with their first bytes.
pub const WAY_INSTEAD_TIME_MAX: Duration = Duration::from_secs(10);

/// A way that came to a stand while another brought something is left out for so long: who repairs a router does not wait for more.
pub const BAD_WAY_TIME: Duration = Duration::from_secs(300);

/// A relayed transfer looks for a direct way after these times, and then every [`DIRECT_AGAIN_TIME`] as long as it runs: each look costs the directory a
/// word, and routers some packets.
pub const DIRECT_AGAIN_AFTER: [Duration; 3] =
    [Duration::from_secs(2), Duration::from_secs(8), Duration::from_secs(20)];

/// See [`DIRECT_AGAIN_AFTER`].
pub const DIRECT_AGAIN_TIME: Duration = Duration::from_secs(60);

/// A relayed transfer with less than this to come stays where it is: it is over before another way has begun.
pub const DIRECT_AGAIN_BYTES_MIN: u64 = 1 << 20;

/// From a port from which a connection led to a peer within this time the next one to it goes from another port: routers remember the two ends of one
/// that was reset for ten seconds, and of one that was closed for two minutes (Linux, `nf_conntrack_tcp_timeout_*`).
pub const PUNCHED_AGAIN_TIME: Duration = Duration::from_secs(130);

/// Pings over a connection between two peers for one `ping`; the shortest counts.
pub const PEER_PINGS: u32 = 5;
