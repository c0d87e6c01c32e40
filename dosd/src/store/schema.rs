//! The directory's tables. A step that has been released is never changed; a new one is added.

mod postgres;

use dos_sql::PostgresSchema;
use dos_sqlite::{Migration, OVERWRITE_FREE_PAGES, Schema};

/// The same in PostgreSQL. A step after its first version has a twin in [`SCHEMA`].
pub(super) const POSTGRES: PostgresSchema = PostgresSchema {
    application: "dosd",
    first: 16,
    tables: postgres::TABLES,
    steps: &[postgres::NODES, postgres::LOCKOUTS, postgres::DESCRIPTIONS, postgres::THUMBS],
};

/// The directory's database in SQLite: `application_id` is "dosd" in ASCII.
pub(super) const SCHEMA: Schema = Schema {
    application_id: 0x646f_7364,
    migrations: &[
        Migration { sql: FIRST },
        Migration { sql: SECOND },
        Migration { sql: THIRD },
        Migration { sql: FOURTH },
        Migration { sql: FIFTH },
        Migration { sql: SIXTH },
        Migration { sql: SEVENTH },
        Migration { sql: PASSWORDS },
        Migration { sql: VIEWS_CLOSED },
        Migration { sql: HEALING },
        Migration { sql: OVERWRITE_FREE_PAGES },
        Migration { sql: WITHHELD },
        Migration { sql: BYTES },
        Migration { sql: OPERATOR },
        Migration { sql: PRIVATE },
        Migration { sql: PEER_INVITES },
        Migration { sql: NODES },
        Migration { sql: LOCKOUTS },
        Migration { sql: DESCRIPTIONS },
        Migration { sql: THUMBS },
    ],
};

const FIRST: &str = "
-- Peers by the number of their ID. Times are milliseconds since 1970 everywhere.
CREATE TABLE peers(
    id            INTEGER PRIMARY KEY,
    key           BLOB    NOT NULL UNIQUE CHECK(length(key) = 32),
    name          TEXT    UNIQUE,
    registered_at INTEGER NOT NULL,
    last_seen_at  INTEGER NOT NULL,
    images        INTEGER NOT NULL DEFAULT 0
);

-- Images in the order of a listing. `no` is the number under which everything else knows an image.
CREATE TABLE images(
    owner          INTEGER NOT NULL REFERENCES peers(id),
    name           TEXT    NOT NULL,
    no             INTEGER NOT NULL UNIQUE,
    image_id       BLOB    NOT NULL,
    format         TEXT    NOT NULL,
    width          INTEGER NOT NULL,
    height         INTEGER NOT NULL,
    bytes          INTEGER NOT NULL,
    sealed_hash    BLOB    NOT NULL,
    sealed_bytes   INTEGER NOT NULL,
    preview_format TEXT    NOT NULL,
    preview_width  INTEGER NOT NULL,
    preview_height INTEGER NOT NULL,
    preview_bytes  INTEGER NOT NULL,
    published_at   INTEGER NOT NULL,
    PRIMARY KEY(owner, name)
) WITHOUT ROWID;

CREATE TABLE previews(image INTEGER PRIMARY KEY, data BLOB NOT NULL);

-- Numbers that are never used twice.
CREATE TABLE counters(name TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counters VALUES('image', 0), ('request', 0);

-- Rights. `share` is the directory's share of the content key: gone when the right is revoked.
CREATE TABLE grants(
    image      INTEGER NOT NULL,
    viewer     INTEGER NOT NULL REFERENCES peers(id),
    owner      INTEGER NOT NULL,
    split      BLOB    NOT NULL,
    share      BLOB,
    views_left INTEGER,
    views_used INTEGER NOT NULL,
    expires_at INTEGER,
    revision   INTEGER NOT NULL,
    PRIMARY KEY(image, viewer)
) WITHOUT ROWID;
CREATE INDEX grants_by_viewer ON grants(viewer, owner, image);

-- Every spending, under the viewer's view ID: asked again, it counts nothing.
CREATE TABLE views(
    view     BLOB    PRIMARY KEY,
    image    INTEGER NOT NULL,
    viewer   INTEGER NOT NULL,
    views    INTEGER NOT NULL,
    kind     INTEGER NOT NULL,
    returned INTEGER,
    spent_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE requests(
    request    INTEGER PRIMARY KEY,
    image      INTEGER NOT NULL,
    owner      INTEGER NOT NULL,
    viewer     INTEGER NOT NULL,
    views      INTEGER NOT NULL,
    state      INTEGER NOT NULL,
    note       TEXT,
    reason     TEXT,
    created_at INTEGER NOT NULL,
    decided_at INTEGER,
    revision   INTEGER NOT NULL
);
CREATE UNIQUE INDEX requests_pending ON requests(viewer, owner, image) WHERE state = 0;
CREATE INDEX requests_by_image ON requests(image, viewer, request);
CREATE INDEX requests_by_viewer ON requests(viewer, owner, image);

-- What is owed to each peer: `frame` is the message as it is sent. Heads are kept when rows are acknowledged.
CREATE TABLE inbox_heads(peer INTEGER PRIMARY KEY, latest INTEGER NOT NULL);
CREATE TABLE inbox(peer INTEGER NOT NULL, seq INTEGER NOT NULL, frame BLOB NOT NULL, PRIMARY KEY(peer, seq))
    WITHOUT ROWID;
";

const SECOND: &str = "
-- Invites by the hash of their code; `prefix` is its beginning, by which the operator names it.
CREATE TABLE invites(
    hash       BLOB    PRIMARY KEY CHECK(length(hash) = 32),
    prefix     TEXT    NOT NULL UNIQUE,
    uses       INTEGER NOT NULL,
    uses_left  INTEGER NOT NULL CHECK(uses_left BETWEEN 0 AND uses),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX invites_by_age ON invites(created_at, prefix);

-- Why a peer's last session ended; nothing while it has one, or if that could not be written down.
ALTER TABLE peers ADD COLUMN last_end INTEGER;
";

const THIRD: &str = "
-- Whom a row of an inbox comes from, where a block of that peer takes the row away; `kind` is 1 for messages, 2 for requests.
ALTER TABLE inbox ADD COLUMN sender INTEGER;
ALTER TABLE inbox ADD COLUMN kind INTEGER;
CREATE INDEX inbox_by_sender ON inbox(peer, sender) WHERE sender IS NOT NULL;

-- Messages that were taken, for a while: the same one again is not sent again. `seq` is its place in the recipient's inbox;
-- where there is nothing any more, the recipient has stored it.
CREATE TABLE messages(
    sender    INTEGER NOT NULL,
    message   BLOB    NOT NULL CHECK(length(message) = 16),
    recipient INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    sent_at   INTEGER NOT NULL,
    PRIMARY KEY(sender, message)
) WITHOUT ROWID;
CREATE INDEX messages_by_age ON messages(sent_at);

CREATE TABLE blocks(
    blocker INTEGER NOT NULL,
    blocked INTEGER NOT NULL,
    since   INTEGER NOT NULL,
    PRIMARY KEY(blocker, blocked)
) WITHOUT ROWID;
CREATE INDEX blocks_by_blocked ON blocks(blocked, blocker);

-- The password by which an ID is taken back: a PHC string of Argon2id; nothing where there is none.
ALTER TABLE peers ADD COLUMN password TEXT;
";

const FOURTH: &str = "
-- For a peer that has lost its own list: its rights in the order of images, its pending requests in that of their numbers.
CREATE INDEX grants_given ON grants(owner, image, viewer);
CREATE INDEX grants_received ON grants(viewer, image);
CREATE INDEX requests_incoming ON requests(owner, request) WHERE state = 0;
CREATE INDEX requests_outgoing ON requests(viewer, request) WHERE state = 0;
";

const FIFTH: &str = "
-- Views that a right counts and whose receipts are forgotten.
CREATE TABLE views_forgotten(
    image  INTEGER NOT NULL,
    viewer INTEGER NOT NULL,
    views  INTEGER NOT NULL,
    PRIMARY KEY(image, viewer)
) WITHOUT ROWID;

-- What a peer's previews take together.
ALTER TABLE peers ADD COLUMN preview_bytes INTEGER NOT NULL DEFAULT 0;
UPDATE peers SET preview_bytes = (SELECT coalesce(sum(preview_bytes), 0) FROM images WHERE owner = peers.id);
";

const SIXTH: &str = "
-- What a row says, in a form of its own with a version in its first byte; rows from before begin with 0 and are frames.
ALTER TABLE inbox RENAME COLUMN frame TO body;

-- Changes that were done, for a while: the same operation of the same peer is not done again and gets this answer.
CREATE TABLE done(
    peer      INTEGER NOT NULL,
    operation BLOB    NOT NULL CHECK(length(operation) = 16),
    answer    BLOB    NOT NULL,
    at        INTEGER NOT NULL,
    PRIMARY KEY(peer, operation)
) WITHOUT ROWID;
CREATE INDEX done_by_age ON done(at);
";

const SEVENTH: &str = "
-- The key to which messages to a peer are sealed, then its identity's signature of it.
ALTER TABLE peers ADD COLUMN sealing BLOB CHECK(length(sealing) = 96);

-- The owner's word for an image: the revision (8 bytes, big-endian), the hash of the preview (32), the signature (64).
ALTER TABLE images ADD COLUMN record BLOB CHECK(length(record) = 104);
";

const PASSWORDS: &str = "
-- What is deleted here is overwritten, also in pages that become free.
PRAGMA secure_delete = ON;

-- What is kept for a password: the record of OPAQUE with its version, and the seed of the peer's key as the peer has sealed it.
CREATE TABLE passwords(
    peer   INTEGER PRIMARY KEY REFERENCES peers(id),
    record BLOB    NOT NULL,
    sealed BLOB    NOT NULL,
    set_at INTEGER NOT NULL
);

-- Hashes of passwords are of no use any more, and all that is left of them is that their peers have to set a password again.
ALTER TABLE peers ADD COLUMN password_again INTEGER NOT NULL DEFAULT 0;
UPDATE peers SET password_again = 1, password = NULL WHERE password IS NOT NULL;
ALTER TABLE peers DROP COLUMN password;
PRAGMA secure_delete = FAST;
";

const VIEWS_CLOSED: &str = "
-- By which a viewer knows the owner share of a grant; whether its owner allows checkouts; views given back from them in all.
ALTER TABLE grants ADD COLUMN share_check BLOB CHECK(share_check IS NULL OR length(share_check) = 32);
ALTER TABLE grants ADD COLUMN allow_offline INTEGER NOT NULL DEFAULT 0;
ALTER TABLE grants ADD COLUMN returned INTEGER NOT NULL DEFAULT 0;
UPDATE grants SET returned = given_back.views
FROM (SELECT image, viewer, sum(returned) AS views FROM views WHERE returned > 0 GROUP BY image, viewer) AS given_back
WHERE grants.image = given_back.image AND grants.viewer = given_back.viewer;

-- Whether the viewer has said that the view is over: then its ID gets the share no more.
ALTER TABLE views ADD COLUMN closed INTEGER NOT NULL DEFAULT 0;

-- Whether checkouts are asked for.
ALTER TABLE requests ADD COLUMN offline INTEGER NOT NULL DEFAULT 0;
";

const HEALING: &str = "
-- One row: which history this data belongs to, since when if it is not the first one, and the public key by which peers know the
-- directory.
CREATE TABLE directory(
    one         INTEGER PRIMARY KEY CHECK(one = 1),
    incarnation BLOB    NOT NULL CHECK(length(incarnation) = 16),
    renewed_at  INTEGER,
    key         BLOB    CHECK(length(key) = 32)
);
INSERT INTO directory(one, incarnation) VALUES(1, randomblob(16));

-- Of a peer: the incarnation in which it signed in last, the highest of its attempts to sign in, and whether it knows what is
-- told since this version.
ALTER TABLE peers ADD COLUMN met BLOB;
ALTER TABLE peers ADD COLUMN attempt INTEGER NOT NULL DEFAULT 0;
ALTER TABLE peers ADD COLUMN nonce BLOB;
ALTER TABLE peers ADD COLUMN knows INTEGER NOT NULL DEFAULT 0;

-- What the sender of a message is owed: that it was stored, if it was told that the message waits.
ALTER TABLE messages ADD COLUMN owing INTEGER NOT NULL DEFAULT 0;
CREATE INDEX messages_owing ON messages(recipient, seq) WHERE owing = 1;
DROP INDEX messages_by_age;
CREATE INDEX messages_by_age ON messages(sent_at) WHERE owing = 0;

-- What a grant gave: its views left and used together; nothing of an unlimited one.
ALTER TABLE grants ADD COLUMN granted INTEGER;
UPDATE grants SET granted = views_used + views_left WHERE views_left IS NOT NULL;

-- Of each grant that there was when this incarnation began: what is known of it from before. `left` is nothing where it is
-- unlimited; `claimed` counts the used views that were asserted and that no view ID stands for.
CREATE TABLE forks(
    image          INTEGER NOT NULL,
    viewer         INTEGER NOT NULL,
    split          BLOB    NOT NULL,
    owner_revision INTEGER NOT NULL,
    used_revision  INTEGER NOT NULL,
    used           INTEGER NOT NULL,
    left           INTEGER,
    claimed        INTEGER NOT NULL DEFAULT 0,
    returned       INTEGER NOT NULL,
    PRIMARY KEY(image, viewer)
) WITHOUT ROWID;

-- The hash (BLAKE3) of a preview; nothing until it was computed.
ALTER TABLE previews ADD COLUMN hash BLOB;
CREATE INDEX previews_unhashed ON previews(image) WHERE hash IS NULL;

-- The place of a view's receipt in the inbox of the owner; nothing for those from before.
ALTER TABLE views ADD COLUMN receipt INTEGER;
";

const WITHHELD: &str = "
-- What a block keeps back from `peer` of what `other` has done: the grants that have changed, and the images that are gone, each
-- with the name that it had.
CREATE TABLE withheld(
    peer    INTEGER NOT NULL,
    other   INTEGER NOT NULL,
    image   INTEGER NOT NULL,
    viewer  INTEGER NOT NULL,
    removed TEXT,
    PRIMARY KEY(peer, other, image, viewer)
) WITHOUT ROWID;
CREATE INDEX withheld_by_other ON withheld(other, peer);
";

const BYTES: &str = "
-- What waits for each peer takes these bytes together.
ALTER TABLE inbox_heads ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
UPDATE inbox_heads
SET bytes = (SELECT coalesce(sum(length(body)), 0) FROM inbox WHERE inbox.peer = inbox_heads.peer);

-- What of it is whose: messages and requests (`letters`), all updates with a sender, and their bytes. Since this version a grant has
-- its owner as sender, in rows of kind 3.
CREATE TABLE inbox_shares(
    peer    INTEGER NOT NULL,
    sender  INTEGER NOT NULL,
    letters INTEGER NOT NULL,
    updates INTEGER NOT NULL,
    bytes   INTEGER NOT NULL,
    PRIMARY KEY(peer, sender)
) WITHOUT ROWID;
INSERT INTO inbox_shares(peer, sender, letters, updates, bytes)
SELECT peer, sender, sum(kind IN (1, 2)), count(*), sum(length(body)) FROM inbox WHERE sender IS NOT NULL GROUP BY peer, sender;

-- Of a peer: the bytes of its rows, of the answers to its changes, and of what it has waiting for others. A row counts with what
-- it takes in its table and in the indexes, about: an image 600 bytes, a grant 400, a request 300 and its texts, an answer 64 more
-- than itself.
ALTER TABLE peers ADD COLUMN row_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE peers ADD COLUMN answer_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE peers ADD COLUMN sent_bytes INTEGER NOT NULL DEFAULT 0;
UPDATE peers SET
    row_bytes = (SELECT 600 * count(*) FROM images WHERE owner = peers.id)
        + (SELECT 400 * count(*) FROM grants WHERE owner = peers.id)
        + (SELECT coalesce(sum(300 + coalesce(octet_length(note), 0) + coalesce(octet_length(reason), 0)), 0)
           FROM requests WHERE viewer = peers.id),
    answer_bytes = (SELECT coalesce(sum(64 + length(answer)), 0) FROM done WHERE peer = peers.id);
UPDATE peers SET sent_bytes = sent.bytes
FROM (SELECT sender, sum(bytes) AS bytes FROM inbox_shares GROUP BY sender) AS sent WHERE sent.sender = peers.id;

-- The database keeps these counts itself: no statement can forget to. Of what a spent view writes none of them fires.
CREATE TRIGGER images_added AFTER INSERT ON images BEGIN
    UPDATE peers SET row_bytes = row_bytes + 600 WHERE id = new.owner;
END;
CREATE TRIGGER images_removed AFTER DELETE ON images BEGIN
    UPDATE peers SET row_bytes = row_bytes - 600 WHERE id = old.owner;
END;
CREATE TRIGGER grants_added AFTER INSERT ON grants BEGIN
    UPDATE peers SET row_bytes = row_bytes + 400 WHERE id = new.owner;
END;
CREATE TRIGGER grants_removed AFTER DELETE ON grants BEGIN
    UPDATE peers SET row_bytes = row_bytes - 400 WHERE id = old.owner;
END;
CREATE TRIGGER requests_added AFTER INSERT ON requests BEGIN
    UPDATE peers SET row_bytes = row_bytes + 300
        + coalesce(octet_length(new.note), 0) + coalesce(octet_length(new.reason), 0) WHERE id = new.viewer;
END;
CREATE TRIGGER requests_changed AFTER UPDATE OF note, reason ON requests BEGIN
    UPDATE peers SET row_bytes = row_bytes
        + coalesce(octet_length(new.note), 0) + coalesce(octet_length(new.reason), 0)
        - coalesce(octet_length(old.note), 0) - coalesce(octet_length(old.reason), 0) WHERE id = new.viewer;
END;
CREATE TRIGGER requests_removed AFTER DELETE ON requests BEGIN
    UPDATE peers SET row_bytes = row_bytes - 300
        - coalesce(octet_length(old.note), 0) - coalesce(octet_length(old.reason), 0) WHERE id = old.viewer;
END;
CREATE TRIGGER done_added AFTER INSERT ON done BEGIN
    UPDATE peers SET answer_bytes = answer_bytes + 64 + length(new.answer) WHERE id = new.peer;
END;
CREATE TRIGGER done_removed AFTER DELETE ON done BEGIN
    UPDATE peers SET answer_bytes = answer_bytes - 64 - length(old.answer) WHERE id = old.peer;
END;
CREATE TRIGGER inbox_added AFTER INSERT ON inbox WHEN new.sender IS NOT NULL BEGIN
    INSERT INTO inbox_shares(peer, sender, letters, updates, bytes)
    VALUES(new.peer, new.sender, new.kind IN (1, 2), 1, length(new.body))
    ON CONFLICT(peer, sender) DO UPDATE SET letters = letters + excluded.letters, updates = updates + 1,
        bytes = bytes + excluded.bytes;
    UPDATE peers SET sent_bytes = sent_bytes + length(new.body) WHERE id = new.sender;
END;
CREATE TRIGGER inbox_removed AFTER DELETE ON inbox WHEN old.sender IS NOT NULL BEGIN
    UPDATE inbox_shares SET letters = letters - (old.kind IN (1, 2)), updates = updates - 1, bytes = bytes - length(old.body)
    WHERE peer = old.peer AND sender = old.sender;
    DELETE FROM inbox_shares WHERE peer = old.peer AND sender = old.sender AND updates = 0;
    UPDATE peers SET sent_bytes = sent_bytes - length(old.body) WHERE id = old.sender;
END;
-- A block takes rows from their sender.
CREATE TRIGGER inbox_voided AFTER UPDATE OF sender ON inbox WHEN old.sender IS NOT NULL AND new.sender IS NULL BEGIN
    UPDATE inbox_shares SET letters = letters - (old.kind IN (1, 2)), updates = updates - 1, bytes = bytes - length(old.body)
    WHERE peer = old.peer AND sender = old.sender;
    DELETE FROM inbox_shares WHERE peer = old.peer AND sender = old.sender AND updates = 0;
    UPDATE peers SET sent_bytes = sent_bytes - length(old.body) WHERE id = old.sender;
END;
";

const OPERATOR: &str = "
-- Keys that may not register, with the ID and the name that they had.
CREATE TABLE bans(
    key    BLOB    PRIMARY KEY CHECK(length(key) = 32),
    peer   INTEGER NOT NULL,
    name   TEXT,
    at     INTEGER NOT NULL,
    reason TEXT
) WITHOUT ROWID;
CREATE INDEX bans_by_peer ON bans(peer);

-- What operators have done. `user` is the number of the system's user who gave the command.
CREATE TABLE audit(
    no      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    user    INTEGER NOT NULL,
    command TEXT    NOT NULL,
    about   TEXT    NOT NULL,
    reason  TEXT
);
";

const PRIVATE: &str = "
-- Whether an image is seen by its owner and by holders of grants alone; the album that its owner has signed that it is in.
ALTER TABLE images ADD COLUMN private INTEGER NOT NULL DEFAULT 0;
ALTER TABLE images ADD COLUMN album TEXT;
ALTER TABLE images ADD COLUMN album_signature BLOB CHECK(album_signature IS NULL OR length(album_signature) = 64);

-- A page of a stranger takes no time for what it does not see.
CREATE INDEX images_listed ON images(owner, name) WHERE private = 0;
";

const PEER_INVITES: &str = "
-- The peer that has made an invite; nothing where it was the operator.
ALTER TABLE invites ADD COLUMN peer INTEGER;
CREATE INDEX invites_by_peer ON invites(peer, created_at) WHERE peer IS NOT NULL;
";

const NODES: &str = "
-- The nodes of one directory, each under the number of this run of it: none in a file, which only one server uses.
CREATE TABLE nodes(
    node    INTEGER PRIMARY KEY,
    -- Where peers find it.
    address TEXT    NOT NULL,
    -- Where the other nodes find it; nothing of a server that is alone.
    cluster TEXT,
    -- Raised every second. One that stands still is dead.
    beat    INTEGER NOT NULL,
    since   INTEGER NOT NULL,
    version TEXT    NOT NULL
);
-- At which node the session of a peer is, its number, which rises with each, and which run of its daemon has it.
ALTER TABLE inbox_heads ADD COLUMN node INTEGER;
ALTER TABLE inbox_heads ADD COLUMN session INTEGER NOT NULL DEFAULT 0;
ALTER TABLE inbox_heads ADD COLUMN instance INTEGER;
CREATE INDEX seats ON inbox_heads(node, peer) WHERE node IS NOT NULL;
";

const LOCKOUTS: &str = "
-- Attempts to log in with a password, by the hash of the name under a secret that is not here.
CREATE TABLE lockouts(
    name         BLOB    PRIMARY KEY CHECK(length(name) = 32),
    tries        INTEGER NOT NULL,
    lockouts     INTEGER NOT NULL,
    locked_until INTEGER NOT NULL,
    last         INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX lockouts_by_age ON lockouts(last);
";

const DESCRIPTIONS: &str = "
-- What its owner has signed that is to be seen on an image.
ALTER TABLE images ADD COLUMN description TEXT;
ALTER TABLE images ADD COLUMN description_signature BLOB
    CHECK(description_signature IS NULL OR length(description_signature) = 64);

-- The newest first, of all owners and of one.
CREATE INDEX images_newest ON images(no) WHERE private = 0;
CREATE INDEX images_newest_of ON images(owner, no) WHERE private = 0;

-- Its bytes count like those of a request's texts. An image comes without one, and gets it by an update.
DROP TRIGGER images_removed;
CREATE TRIGGER images_removed AFTER DELETE ON images BEGIN
    UPDATE peers SET row_bytes = row_bytes - 600 - coalesce(octet_length(old.description), 0) WHERE id = old.owner;
END;
CREATE TRIGGER images_described AFTER UPDATE OF description ON images
WHEN new.description IS NOT old.description BEGIN
    UPDATE peers SET row_bytes = row_bytes + coalesce(octet_length(new.description), 0)
        - coalesce(octet_length(old.description), 0) WHERE id = new.owner;
END;
";

const THUMBS: &str = "
-- What its owner has signed of how the preview looks, and of when the picture was taken. They are of bounded size, like all that an image's
-- row is counted for.
ALTER TABLE images ADD COLUMN thumbhash BLOB CHECK(thumbhash IS NULL OR length(thumbhash) BETWEEN 5 AND 25);
ALTER TABLE images ADD COLUMN thumbhash_signature BLOB
    CHECK(thumbhash_signature IS NULL OR length(thumbhash_signature) = 64);
ALTER TABLE images ADD COLUMN taken TEXT;
ALTER TABLE images ADD COLUMN taken_signature BLOB CHECK(taken_signature IS NULL OR length(taken_signature) = 64);
";
