//! The database's schema. A released step is never changed; what follows gets a step of its own.
//!
//! Grants, images, requests for access and publications are stored as values of [`super::stored`], beside the columns that
//! statements need; those that an earlier release wrote stay as they are, and are read too. Secrets are sealed by the vault.
//! IDs and numbers are stored as integers, moments as milliseconds.

use dos_sqlite::{Migration, OVERWRITE_FREE_PAGES, Schema};

/// "dosp" as a number.
const APPLICATION_ID: i32 = 0x646f_7370;

/// The schema of `peerd.db`.
pub(crate) const SCHEMA: Schema = Schema {
    application_id: APPLICATION_ID,
    migrations: &[
        Migration { sql: INITIAL },
        Migration { sql: LOST },
        Migration { sql: MESSAGES },
        Migration { sql: UNKNOWN_UPDATES },
        Migration { sql: OPERATIONS },
        Migration { sql: TRUST },
        Migration { sql: OFFLINE_BECAUSE },
        Migration { sql: CLOSED_VIEWS },
        Migration { sql: HEALING },
        Migration { sql: OVERWRITE_FREE_PAGES },
        Migration { sql: CONTACTED },
        Migration { sql: REPEATS },
        Migration { sql: GROUPS },
        Migration { sql: ALBUMS },
        Migration { sql: INVITATIONS },
        Migration { sql: NEWS },
        Migration { sql: FOLLOWED },
    ],
};

const INITIAL: &str = "
-- One row: whose database this is, whether the session is wanted, and the last update stored.
CREATE TABLE self (
    one           INTEGER PRIMARY KEY CHECK (one = 1),
    peer          INTEGER,
    wanted_online INTEGER NOT NULL DEFAULT 0,
    stored_seq    INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO self (one) VALUES (1);

-- Every whole sealed file on the disk, one's own and received ones.
CREATE TABLE copies (
    hash    BLOB PRIMARY KEY,
    bytes   INTEGER NOT NULL,
    used_at INTEGER NOT NULL,
    blocks  BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- One's own images, as the directory knows them.
CREATE TABLE images (
    no           INTEGER PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    hash         BLOB NOT NULL,
    content_key  BLOB NOT NULL,
    share_secret BLOB NOT NULL,
    info         BLOB NOT NULL
) STRICT;
CREATE INDEX images_by_hash ON images (hash);

-- Images that are sealed, and of which the directory has not said yet that it knows them.
CREATE TABLE publications (
    hash         BLOB PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    content_key  BLOB NOT NULL,
    share_secret BLOB NOT NULL,
    publish      BLOB NOT NULL
) STRICT;

-- Rights, given and received, each at its highest known revision.
CREATE TABLE grants (
    image    INTEGER NOT NULL,
    viewer   INTEGER NOT NULL,
    owner    INTEGER NOT NULL,
    name     TEXT NOT NULL,
    revision INTEGER NOT NULL,
    revoked  INTEGER NOT NULL,
    hash     BLOB NOT NULL,
    body     BLOB NOT NULL,
    PRIMARY KEY (image, viewer)
) STRICT, WITHOUT ROWID;
CREATE INDEX grants_by_hash ON grants (hash);
CREATE INDEX grants_by_name ON grants (viewer, name);
CREATE INDEX grants_by_owner ON grants (owner);

-- The owner's share for a received right.
CREATE TABLE shares (
    image INTEGER PRIMARY KEY,
    split BLOB NOT NULL,
    share BLOB NOT NULL
) STRICT;

-- Views that have begun and are not known to be finished.
CREATE TABLE views (
    id       BLOB PRIMARY KEY,
    image    INTEGER NOT NULL,
    kind     TEXT NOT NULL CHECK (kind IN ('view', 'checkout', 'offline')),
    views    INTEGER NOT NULL,
    checkout BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX views_by_image ON views (image, kind);

-- Views held for use without the directory.
CREATE TABLE held (
    checkout  BLOB PRIMARY KEY,
    image     INTEGER NOT NULL,
    hash      BLOB NOT NULL,
    unused    INTEGER NOT NULL CHECK (unused >= 0),
    in_return INTEGER NOT NULL DEFAULT 0,
    key       BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX held_by_image ON held (image);
CREATE INDEX held_by_hash ON held (hash);

-- Requests for access, those of others for one's images and one's own.
CREATE TABLE asks (
    request  INTEGER PRIMARY KEY,
    image    INTEGER NOT NULL,
    incoming INTEGER NOT NULL,
    pending  INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    body     BLOB NOT NULL
) STRICT;
CREATE INDEX asks_pending ON asks (incoming, pending);
CREATE INDEX asks_by_image ON asks (image);
";

const LOST: &str = "
-- Whether updates were lost, and the directory was not asked yet for what they said.
ALTER TABLE self ADD COLUMN lost INTEGER NOT NULL DEFAULT 0;
";

const MESSAGES: &str = "
-- Messages, sent and received, in the order in which they came to be here. The other side of a sent broadcast is nobody.
CREATE TABLE messages (
    place      INTEGER PRIMARY KEY AUTOINCREMENT,
    sender     INTEGER NOT NULL,
    id         BLOB NOT NULL,
    other      INTEGER,
    other_name TEXT,
    outgoing   INTEGER NOT NULL,
    direct     INTEGER NOT NULL,
    broadcast  INTEGER NOT NULL,
    sent_at    INTEGER NOT NULL,
    read       INTEGER NOT NULL,
    delivery   TEXT CHECK (delivery IN ('delivered', 'queued')),
    text       TEXT NOT NULL,
    UNIQUE (sender, id)
) STRICT;
CREATE INDEX messages_by_read ON messages (read, place);
CREATE INDEX messages_by_other ON messages (other, place);
CREATE INDEX messages_by_name ON messages (other_name);
CREATE INDEX messages_direct_unread ON messages (other) WHERE read = 0 AND direct = 1;

-- One row: what the messages come to, kept up by the triggers, and how often this daemon has changed its blocks.
CREATE TABLE mailbox (
    one             INTEGER PRIMARY KEY CHECK (one = 1),
    messages        INTEGER NOT NULL DEFAULT 0,
    unread          INTEGER NOT NULL DEFAULT 0,
    bytes           INTEGER NOT NULL DEFAULT 0,
    blocks_revision INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO mailbox (one) VALUES (1);
CREATE TRIGGER messages_added AFTER INSERT ON messages BEGIN
    UPDATE mailbox SET messages = messages + 1, unread = unread + (new.read = 0),
                       bytes = bytes + octet_length(new.text);
END;
CREATE TRIGGER messages_gone AFTER DELETE ON messages BEGIN
    UPDATE mailbox SET messages = messages - 1, unread = unread - (old.read = 0),
                       bytes = bytes - octet_length(old.text);
END;
CREATE TRIGGER messages_read AFTER UPDATE OF read ON messages BEGIN
    UPDATE mailbox SET unread = unread + (new.read = 0) - (old.read = 0);
END;

-- Messages that are to be sent, and of which nobody has said yet that they arrived.
CREATE TABLE sending (
    id        BLOB PRIMARY KEY,
    recipient TEXT NOT NULL,
    direct    INTEGER NOT NULL,
    begun_at  INTEGER NOT NULL,
    text      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sending_by_time ON sending (begun_at);

-- Peers that want or wanted to send direct messages without any other relation.
CREATE TABLE contacts (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    peer       INTEGER NOT NULL UNIQUE,
    name       TEXT,
    state      TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'denied')),
    created_at INTEGER NOT NULL,
    decided_at INTEGER
) STRICT;
CREATE INDEX contacts_by_state ON contacts (state);

-- Whom this peer has blocked: a copy of what the directory knows.
CREATE TABLE blocks (
    peer  INTEGER PRIMARY KEY,
    name  TEXT,
    since INTEGER NOT NULL
) STRICT;

-- The other side of a request; 0 for those that came before this was noted.
ALTER TABLE asks ADD COLUMN other INTEGER NOT NULL DEFAULT 0;
CREATE INDEX asks_by_other ON asks (other);
";

const UNKNOWN_UPDATES: &str = "
-- Updates that a newer directory has made, as they came: the one body here that has no type of this program's own.
CREATE TABLE unknown_updates (
    seq  INTEGER PRIMARY KEY,
    at   INTEGER NOT NULL,
    kind TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;
-- Those that were deleted for want of room.
ALTER TABLE self ADD COLUMN unknown_deleted INTEGER NOT NULL DEFAULT 0;

-- Lists are read in pages, in the order of these.
DROP INDEX grants_by_owner;
CREATE INDEX grants_given ON grants (owner, name, viewer, image);
CREATE INDEX grants_received ON grants (viewer, owner, name, image);
CREATE INDEX blocks_by_time ON blocks (since, peer);
";

const OPERATIONS: &str = "
-- Changes that were begun and whose outcome was not shown yet, by the fingerprint of their command.
CREATE TABLE operations (
    id          BLOB PRIMARY KEY,
    fingerprint BLOB NOT NULL,
    begun_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX operations_by_fingerprint ON operations (fingerprint, begun_at);
CREATE INDEX operations_by_time ON operations (begun_at);
";

const TRUST: &str = "
-- Contacts: the keys of other peers that are believed. `sealing` is the key to which messages are sealed, which the pinned key
-- has signed. `other_*` is the key that was seen in place of the pinned one, and the peer that has it.
CREATE TABLE pins (
    peer       INTEGER PRIMARY KEY,
    key        BLOB NOT NULL CHECK (length(key) = 32),
    sealing    BLOB CHECK (length(sealing) = 96),
    name       TEXT,
    verified   INTEGER NOT NULL,
    since      INTEGER NOT NULL,
    other_peer INTEGER,
    other_key  BLOB CHECK (length(other_key) = 32),
    other_at   INTEGER
) STRICT;
CREATE INDEX pins_by_key ON pins (key);
CREATE INDEX pins_by_name ON pins (name) WHERE name IS NOT NULL;
CREATE INDEX pins_changed ON pins (other_key) WHERE other_key IS NOT NULL;

-- The newest word of a contact for each of its images that was seen.
CREATE TABLE seen_images (
    owner     INTEGER NOT NULL,
    name      TEXT NOT NULL,
    revision  INTEGER NOT NULL,
    signature BLOB NOT NULL,
    PRIMARY KEY (owner, name)
) STRICT, WITHOUT ROWID;

-- Whether the sender has signed a message, or brought it itself.
ALTER TABLE messages ADD COLUMN signed INTEGER NOT NULL DEFAULT 0;
-- The revision of this peer's last word for an image; messages that were refused.
ALTER TABLE self ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE self ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;
";

const OFFLINE_BECAUSE: &str = "
-- Why no session is wanted, if that was not the user's wish.
ALTER TABLE self ADD COLUMN offline_because TEXT;
";

const CLOSED_VIEWS: &str = "
-- Views that are over, until the directory knows that.
CREATE TABLE closed (
    id BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- A held view is counted down before it is shown and never taken up again: what an earlier release left open has been used.
DELETE FROM views WHERE kind = 'offline';

-- What time it was at the directory at least, and when that was here: which run of the machine, milliseconds since its start.
ALTER TABLE self ADD COLUMN directory_time INTEGER;
ALTER TABLE self ADD COLUMN directory_boot BLOB;
ALTER TABLE self ADD COLUMN directory_since_boot INTEGER;
";

const HEALING: &str = "
-- How often this state has tried to sign in, when its last update came about, which incarnation of the directory's data it has
-- met, and what proves to the directory that the ID is its own.
ALTER TABLE self ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE self ADD COLUMN stored_at INTEGER;
ALTER TABLE self ADD COLUMN incarnation BLOB;
ALTER TABLE self ADD COLUMN proof BLOB;
-- Whether it is to be reported that the directory was restored.
ALTER TABLE self ADD COLUMN reporting INTEGER NOT NULL DEFAULT 0;

-- Views of a checkout that were held when this state turned out to be one put back from a copy.
ALTER TABLE held ADD COLUMN given_up INTEGER NOT NULL DEFAULT 0;

-- Whether the directory has said already that the recipient has stored the message.
ALTER TABLE sending ADD COLUMN stored INTEGER NOT NULL DEFAULT 0;

-- The preview that an image was published with, as it was sent; nothing for those of earlier releases until it was asked for.
ALTER TABLE images ADD COLUMN preview BLOB;

-- Images of one's own that were removed: a directory that is restored from an older backup has them again.
CREATE TABLE removed_images (
    no INTEGER PRIMARY KEY,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX removed_images_by_time ON removed_images (at);

-- What is known from an earlier incarnation of the directory's data and not confirmed by this one.
CREATE TABLE asserting (
    kind   TEXT NOT NULL CHECK (kind IN
               ('removed', 'image', 'given', 'received', 'checkout', 'request', 'block', 'message')),
    number INTEGER NOT NULL,
    peer   INTEGER NOT NULL,
    since  INTEGER NOT NULL,
    body   BLOB,
    PRIMARY KEY (kind, number, peer)
) STRICT, WITHOUT ROWID;

-- What a user should know even if no one watched when it happened.
CREATE TABLE notes (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at     INTEGER NOT NULL,
    text   TEXT NOT NULL
) STRICT;
";

const CONTACTED: &str = "
-- The peers with which this one has dealt: it has granted to them, requested from them, messaged them, fetched from them, or
-- confirmed their keys. Those of before are known by what is left of it.
CREATE TABLE contacted (
    peer  INTEGER PRIMARY KEY,
    since INTEGER NOT NULL
) STRICT;
INSERT INTO contacted (peer, since)
    SELECT peer, unixepoch() * 1000 FROM (
        SELECT peer FROM pins WHERE verified = 1 OR peer IN (SELECT owner FROM grants)
        UNION SELECT viewer FROM grants WHERE owner = (SELECT peer FROM self)
        UNION SELECT owner FROM grants
              WHERE viewer = (SELECT peer FROM self) AND image IN (SELECT image FROM shares)
        UNION SELECT other FROM asks WHERE incoming = 0
        UNION SELECT other FROM messages WHERE outgoing = 1 AND broadcast = 0 AND other IS NOT NULL
        UNION SELECT peer FROM contacts WHERE state = 'approved')
    WHERE peer <> 0 AND peer IS NOT (SELECT peer FROM self);

-- What the grants of one owner come to, without reading those of all.
CREATE INDEX grants_live ON grants (viewer, owner) WHERE revoked = 0;
";

const REPEATS: &str = "
-- What a change is about, and whether it adds (1) or sets (0).
ALTER TABLE operations ADD COLUMN subject BLOB;
ALTER TABLE operations ADD COLUMN adds INTEGER NOT NULL DEFAULT 0;
CREATE INDEX operations_by_subject ON operations (subject) WHERE subject IS NOT NULL;
";

const GROUPS: &str = "
-- Groups of peers, which only this peer knows. `known_as` is the name under which a member was added.
CREATE TABLE group_members (
    name     TEXT NOT NULL,
    peer     INTEGER NOT NULL,
    known_as TEXT,
    PRIMARY KEY (name, peer)
) STRICT, WITHOUT ROWID;
";

const ALBUMS: &str = "
-- Who is to see an image that is on its way; nothing if that was not said.
ALTER TABLE publications ADD COLUMN visibility TEXT;
-- The album that an image is in; and whether it is private, of which an earlier release did not know.
ALTER TABLE images ADD COLUMN album TEXT;
ALTER TABLE images ADD COLUMN private INTEGER;
CREATE INDEX images_by_album ON images (album, name) WHERE album IS NOT NULL;

-- Peers that get every image of an album. `views` is nothing where they are unlimited, `expires_ms` where a grant does not end.
CREATE TABLE album_rules (
    number        INTEGER PRIMARY KEY AUTOINCREMENT,
    album         TEXT NOT NULL,
    viewer        INTEGER NOT NULL,
    views         INTEGER,
    expires_ms    INTEGER,
    allow_offline INTEGER NOT NULL,
    since         INTEGER NOT NULL,
    UNIQUE (album, viewer)
) STRICT;

-- What each rule has come to, once for each image that was in its album: under which operation the grant is given, since when that
-- is tried, and how it ended. `state` is 0 for what is to be given, 1 for what is given, 2 for what is refused.
CREATE TABLE album_grants (
    rule      INTEGER NOT NULL REFERENCES album_rules (number) ON DELETE CASCADE,
    image     INTEGER NOT NULL,
    operation BLOB NOT NULL,
    begun_at  INTEGER,
    state     INTEGER NOT NULL DEFAULT 0,
    trouble   TEXT,
    PRIMARY KEY (rule, image)
) STRICT, WITHOUT ROWID;
CREATE INDEX album_grants_due ON album_grants (rule, image) WHERE state = 0;
";

const INVITATIONS: &str = "
-- Invitations that were made here; `secret` is sealed. `code` is the hash of an invite that was made for it at the directory, until
-- that is revoked there. `peer` and what follows: who has used it.
CREATE TABLE invitations (
    id         BLOB PRIMARY KEY,
    guest      TEXT NOT NULL,
    secret     BLOB NOT NULL,
    code       BLOB,
    made_at    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked    INTEGER NOT NULL DEFAULT 0,
    peer       INTEGER,
    key        BLOB,
    sealing    BLOB,
    peer_name  TEXT,
    used_at    INTEGER,
    trouble    TEXT
) STRICT, WITHOUT ROWID;

-- What comes with them. `begun_at`: since when the directory may have given it, under `operation`.
CREATE TABLE invitation_grants (
    invitation    BLOB NOT NULL,
    image         INTEGER NOT NULL,
    name          TEXT NOT NULL,
    views         INTEGER,
    lasts_ms      INTEGER,
    allow_offline INTEGER NOT NULL,
    operation     BLOB NOT NULL,
    begun_at      INTEGER,
    given         INTEGER NOT NULL DEFAULT 0,
    why           TEXT,
    PRIMARY KEY (invitation, image)
) STRICT, WITHOUT ROWID;

-- Answers to guests that are to be sent, and under which operation.
CREATE TABLE invitation_answers (
    invitation BLOB NOT NULL,
    peer       INTEGER NOT NULL,
    verdict    TEXT NOT NULL,
    operation  BLOB NOT NULL,
    PRIMARY KEY (invitation, peer)
) STRICT, WITHOUT ROWID;

-- Invitations that were used here, at the directory of this key.
CREATE TABLE joined (
    id        BLOB PRIMARY KEY,
    directory BLOB NOT NULL,
    inviter   INTEGER NOT NULL,
    key       BLOB NOT NULL,
    name      TEXT,
    secret    BLOB NOT NULL,
    operation BLOB NOT NULL,
    since     INTEGER NOT NULL,
    state     TEXT NOT NULL CHECK (state IN ('waiting', 'welcome', 'refused')),
    trouble   TEXT
) STRICT, WITHOUT ROWID;
";

const NEWS: &str = "
-- The last of what has happened. `place`: that of the message that it is about; `seen`: whether it was shown.
CREATE TABLE news (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at     INTEGER NOT NULL,
    body   BLOB NOT NULL,
    place  INTEGER,
    seen   INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX news_unseen ON news (number) WHERE seen = 0;
CREATE INDEX news_by_place ON news (place) WHERE place IS NOT NULL;
";

const FOLLOWED: &str = "
-- What the directory calls the peers that this one follows, or has called them last.
CREATE TABLE peer_names (
    peer INTEGER PRIMARY KEY,
    name TEXT
) STRICT;
-- Up to this number the images of these peers were seen; NULL before the first look.
ALTER TABLE self ADD COLUMN images_seen INTEGER;
";
