//! The directory's tables in PostgreSQL, as they are in version 16: no older one was ever there.
//!
//! What the columns mean stands in the steps for SQLite. Names are in the order of their bytes (`COLLATE "C"`), as there.

pub(super) const TABLES: &str = r#"
CREATE TABLE peers(
    id             bigint PRIMARY KEY,
    key            bytea  NOT NULL UNIQUE CHECK(length(key) = 32),
    name           text COLLATE "C" UNIQUE,
    registered_at  bigint NOT NULL,
    last_seen_at   bigint NOT NULL,
    images         bigint NOT NULL DEFAULT 0,
    last_end       bigint,
    preview_bytes  bigint NOT NULL DEFAULT 0,
    sealing        bytea CHECK(length(sealing) = 96),
    password_again bigint NOT NULL DEFAULT 0,
    met            bytea,
    attempt        bigint NOT NULL DEFAULT 0,
    nonce          bytea,
    knows          bigint NOT NULL DEFAULT 0,
    row_bytes      bigint NOT NULL DEFAULT 0,
    answer_bytes   bigint NOT NULL DEFAULT 0,
    sent_bytes     bigint NOT NULL DEFAULT 0
);

CREATE TABLE images(
    owner          bigint NOT NULL REFERENCES peers(id),
    name           text COLLATE "C" NOT NULL,
    no             bigint NOT NULL UNIQUE,
    image_id       bytea  NOT NULL,
    format         text COLLATE "C" NOT NULL,
    width          bigint NOT NULL,
    height         bigint NOT NULL,
    bytes          bigint NOT NULL,
    sealed_hash    bytea  NOT NULL,
    sealed_bytes   bigint NOT NULL,
    preview_format text COLLATE "C" NOT NULL,
    preview_width  bigint NOT NULL,
    preview_height bigint NOT NULL,
    preview_bytes  bigint NOT NULL,
    published_at   bigint NOT NULL,
    record         bytea CHECK(length(record) = 104),
    private        bigint NOT NULL DEFAULT 0,
    album          text COLLATE "C",
    album_signature bytea CHECK(length(album_signature) = 64),
    PRIMARY KEY(owner, name)
);
CREATE INDEX images_listed ON images(owner, name) WHERE private = 0;

CREATE TABLE previews(image bigint PRIMARY KEY, data bytea NOT NULL, hash bytea);

CREATE TABLE counters(name text COLLATE "C" PRIMARY KEY, last bigint NOT NULL);
INSERT INTO counters VALUES('image', 0), ('request', 0);

CREATE TABLE grants(
    image         bigint NOT NULL,
    viewer        bigint NOT NULL REFERENCES peers(id),
    owner         bigint NOT NULL,
    split         bytea  NOT NULL,
    share         bytea,
    views_left    bigint,
    views_used    bigint NOT NULL,
    expires_at    bigint,
    revision      bigint NOT NULL,
    share_check   bytea CHECK(share_check IS NULL OR length(share_check) = 32),
    allow_offline bigint NOT NULL DEFAULT 0,
    returned      bigint NOT NULL DEFAULT 0,
    granted       bigint,
    PRIMARY KEY(image, viewer)
);
CREATE INDEX grants_by_viewer ON grants(viewer, owner, image);
CREATE INDEX grants_given ON grants(owner, image, viewer);
CREATE INDEX grants_received ON grants(viewer, image);

CREATE TABLE views(
    view     bytea  PRIMARY KEY,
    image    bigint NOT NULL,
    viewer   bigint NOT NULL,
    views    bigint NOT NULL,
    kind     bigint NOT NULL,
    returned bigint,
    spent_at bigint NOT NULL,
    closed   bigint NOT NULL DEFAULT 0,
    receipt  bigint
);

CREATE TABLE views_forgotten(
    image  bigint NOT NULL,
    viewer bigint NOT NULL,
    views  bigint NOT NULL,
    PRIMARY KEY(image, viewer)
);

CREATE TABLE requests(
    request    bigint PRIMARY KEY,
    image      bigint NOT NULL,
    owner      bigint NOT NULL,
    viewer     bigint NOT NULL,
    views      bigint NOT NULL,
    state      bigint NOT NULL,
    note       text COLLATE "C",
    reason     text COLLATE "C",
    created_at bigint NOT NULL,
    decided_at bigint,
    revision   bigint NOT NULL,
    offline    bigint NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX requests_pending ON requests(viewer, owner, image) WHERE state = 0;
CREATE INDEX requests_by_image ON requests(image, viewer, request);
CREATE INDEX requests_by_viewer ON requests(viewer, owner, image);
CREATE INDEX requests_incoming ON requests(owner, request) WHERE state = 0;
CREATE INDEX requests_outgoing ON requests(viewer, request) WHERE state = 0;

CREATE TABLE inbox_heads(
    peer   bigint PRIMARY KEY,
    latest bigint NOT NULL,
    bytes  bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
CREATE TABLE inbox(
    peer   bigint NOT NULL,
    seq    bigint NOT NULL,
    body   bytea  NOT NULL,
    sender bigint,
    kind   bigint,
    PRIMARY KEY(peer, seq)
);
CREATE INDEX inbox_by_sender ON inbox(peer, sender) WHERE sender IS NOT NULL;
CREATE TABLE inbox_shares(
    peer    bigint NOT NULL,
    sender  bigint NOT NULL,
    letters bigint NOT NULL,
    updates bigint NOT NULL,
    bytes   bigint NOT NULL,
    PRIMARY KEY(peer, sender)
);

CREATE TABLE invites(
    hash       bytea  PRIMARY KEY CHECK(length(hash) = 32),
    prefix     text COLLATE "C" NOT NULL UNIQUE,
    uses       bigint NOT NULL,
    uses_left  bigint NOT NULL CHECK(uses_left BETWEEN 0 AND uses),
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    peer       bigint
);
CREATE INDEX invites_by_peer ON invites(peer, created_at) WHERE peer IS NOT NULL;
CREATE INDEX invites_by_age ON invites(created_at, prefix);

CREATE TABLE messages(
    sender    bigint NOT NULL,
    message   bytea  NOT NULL CHECK(length(message) = 16),
    recipient bigint NOT NULL,
    seq       bigint NOT NULL,
    sent_at   bigint NOT NULL,
    owing     bigint NOT NULL DEFAULT 0,
    PRIMARY KEY(sender, message)
);
CREATE INDEX messages_owing ON messages(recipient, seq) WHERE owing = 1;
CREATE INDEX messages_by_age ON messages(sent_at) WHERE owing = 0;

CREATE TABLE blocks(
    blocker bigint NOT NULL,
    blocked bigint NOT NULL,
    since   bigint NOT NULL,
    PRIMARY KEY(blocker, blocked)
);
CREATE INDEX blocks_by_blocked ON blocks(blocked, blocker);

CREATE TABLE done(
    peer      bigint NOT NULL,
    operation bytea  NOT NULL CHECK(length(operation) = 16),
    answer    bytea  NOT NULL,
    at        bigint NOT NULL,
    PRIMARY KEY(peer, operation)
);
CREATE INDEX done_by_age ON done(at);

CREATE TABLE passwords(
    peer   bigint PRIMARY KEY REFERENCES peers(id),
    record bytea  NOT NULL,
    sealed bytea  NOT NULL,
    set_at bigint NOT NULL
);

CREATE TABLE directory(
    one         bigint PRIMARY KEY CHECK(one = 1),
    incarnation bytea  NOT NULL CHECK(length(incarnation) = 16),
    renewed_at  bigint,
    key         bytea CHECK(length(key) = 32)
);
INSERT INTO directory(one, incarnation) VALUES(1, decode(replace(gen_random_uuid()::text, '-', ''), 'hex'));

CREATE TABLE forks(
    image          bigint NOT NULL,
    viewer         bigint NOT NULL,
    split          bytea  NOT NULL,
    owner_revision bigint NOT NULL,
    used_revision  bigint NOT NULL,
    used           bigint NOT NULL,
    "left"         bigint,
    claimed        bigint NOT NULL DEFAULT 0,
    returned       bigint NOT NULL,
    PRIMARY KEY(image, viewer)
);

CREATE TABLE withheld(
    peer    bigint NOT NULL,
    other   bigint NOT NULL,
    image   bigint NOT NULL,
    viewer  bigint NOT NULL,
    removed text COLLATE "C",
    PRIMARY KEY(peer, other, image, viewer)
);
CREATE INDEX withheld_by_other ON withheld(other, peer);

CREATE TABLE bans(
    key    bytea  PRIMARY KEY CHECK(length(key) = 32),
    peer   bigint NOT NULL,
    name   text COLLATE "C",
    at     bigint NOT NULL,
    reason text COLLATE "C"
);
CREATE INDEX bans_by_peer ON bans(peer);

CREATE TABLE audit(
    no      bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    at      bigint NOT NULL,
    "user"  bigint NOT NULL,
    command text COLLATE "C" NOT NULL,
    about   text COLLATE "C" NOT NULL,
    reason  text COLLATE "C"
);

-- The counts that the database keeps itself.
CREATE FUNCTION images_counted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF TG_OP = 'INSERT' THEN UPDATE peers SET row_bytes = row_bytes + 600 WHERE id = new.owner;
    ELSE UPDATE peers SET row_bytes = row_bytes - 600 WHERE id = old.owner; END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER images_counted AFTER INSERT OR DELETE ON images FOR EACH ROW EXECUTE FUNCTION images_counted();

CREATE FUNCTION grants_counted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF TG_OP = 'INSERT' THEN UPDATE peers SET row_bytes = row_bytes + 400 WHERE id = new.owner;
    ELSE UPDATE peers SET row_bytes = row_bytes - 400 WHERE id = old.owner; END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER grants_counted AFTER INSERT OR DELETE ON grants FOR EACH ROW EXECUTE FUNCTION grants_counted();

CREATE FUNCTION requests_counted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF TG_OP <> 'INSERT' THEN
        UPDATE peers SET row_bytes = row_bytes - 300
            - coalesce(octet_length(old.note), 0) - coalesce(octet_length(old.reason), 0) WHERE id = old.viewer;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        UPDATE peers SET row_bytes = row_bytes + 300
            + coalesce(octet_length(new.note), 0) + coalesce(octet_length(new.reason), 0) WHERE id = new.viewer;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER requests_counted AFTER INSERT OR DELETE OR UPDATE OF note, reason ON requests
    FOR EACH ROW EXECUTE FUNCTION requests_counted();

CREATE FUNCTION done_counted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF TG_OP = 'INSERT' THEN
        UPDATE peers SET answer_bytes = answer_bytes + 64 + length(new.answer) WHERE id = new.peer;
    ELSE
        UPDATE peers SET answer_bytes = answer_bytes - 64 - length(old.answer) WHERE id = old.peer;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER done_counted AFTER INSERT OR DELETE ON done FOR EACH ROW EXECUTE FUNCTION done_counted();

CREATE FUNCTION inbox_added() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO inbox_shares(peer, sender, letters, updates, bytes)
    VALUES(new.peer, new.sender, CASE WHEN new.kind IN (1, 2) THEN 1 ELSE 0 END, 1, length(new.body))
    ON CONFLICT(peer, sender) DO UPDATE SET letters = inbox_shares.letters + excluded.letters,
        updates = inbox_shares.updates + 1, bytes = inbox_shares.bytes + excluded.bytes;
    UPDATE peers SET sent_bytes = sent_bytes + length(new.body) WHERE id = new.sender;
    RETURN NULL;
END $$;
CREATE TRIGGER inbox_added AFTER INSERT ON inbox
    FOR EACH ROW WHEN (new.sender IS NOT NULL) EXECUTE FUNCTION inbox_added();

CREATE FUNCTION inbox_removed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE inbox_shares SET letters = letters - CASE WHEN old.kind IN (1, 2) THEN 1 ELSE 0 END,
        updates = updates - 1, bytes = bytes - length(old.body)
    WHERE peer = old.peer AND sender = old.sender;
    DELETE FROM inbox_shares WHERE peer = old.peer AND sender = old.sender AND updates = 0;
    UPDATE peers SET sent_bytes = sent_bytes - length(old.body) WHERE id = old.sender;
    RETURN NULL;
END $$;
CREATE TRIGGER inbox_removed AFTER DELETE ON inbox
    FOR EACH ROW WHEN (old.sender IS NOT NULL) EXECUTE FUNCTION inbox_removed();
CREATE TRIGGER inbox_voided AFTER UPDATE OF sender ON inbox
    FOR EACH ROW WHEN (old.sender IS NOT NULL AND new.sender IS NULL) EXECUTE FUNCTION inbox_removed();
"#;

pub(super) const NODES: &str = r#"
CREATE TABLE nodes(
    node    bigint PRIMARY KEY,
    address text COLLATE "C" NOT NULL,
    cluster text COLLATE "C",
    beat    bigint NOT NULL,
    since   bigint NOT NULL,
    version text COLLATE "C" NOT NULL
) WITH (fillfactor = 50);
ALTER TABLE inbox_heads ADD COLUMN node bigint;
ALTER TABLE inbox_heads ADD COLUMN session bigint NOT NULL DEFAULT 0;
ALTER TABLE inbox_heads ADD COLUMN instance bigint;
CREATE INDEX seats ON inbox_heads(node, peer) WHERE node IS NOT NULL;
"#;

pub(super) const LOCKOUTS: &str = r#"
CREATE TABLE lockouts(
    name         bytea  PRIMARY KEY CHECK(length(name) = 32),
    tries        bigint NOT NULL,
    lockouts     bigint NOT NULL,
    locked_until bigint NOT NULL,
    last         bigint NOT NULL
);
CREATE INDEX lockouts_by_age ON lockouts(last);
"#;

pub(super) const DESCRIPTIONS: &str = r#"
ALTER TABLE images ADD COLUMN description text COLLATE "C";
ALTER TABLE images ADD COLUMN description_signature bytea CHECK(length(description_signature) = 64);
CREATE INDEX images_newest ON images(no) WHERE private = 0;
CREATE INDEX images_newest_of ON images(owner, no) WHERE private = 0;
CREATE OR REPLACE FUNCTION images_counted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF TG_OP = 'INSERT' THEN UPDATE peers SET row_bytes = row_bytes + 600 WHERE id = new.owner;
    ELSE
        UPDATE peers SET row_bytes = row_bytes - 600 - coalesce(octet_length(old.description), 0) WHERE id = old.owner;
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION images_described() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE peers SET row_bytes = row_bytes + coalesce(octet_length(new.description), 0)
        - coalesce(octet_length(old.description), 0) WHERE id = new.owner;
    RETURN NULL;
END $$;
CREATE TRIGGER images_described AFTER UPDATE OF description ON images FOR EACH ROW
    WHEN (new.description IS DISTINCT FROM old.description) EXECUTE FUNCTION images_described();
"#;

pub(super) const THUMBS: &str = r#"
ALTER TABLE images ADD COLUMN thumbhash bytea CHECK(length(thumbhash) BETWEEN 5 AND 25);
ALTER TABLE images ADD COLUMN thumbhash_signature bytea CHECK(length(thumbhash_signature) = 64);
ALTER TABLE images ADD COLUMN taken text COLLATE "C";
ALTER TABLE images ADD COLUMN taken_signature bytea CHECK(length(taken_signature) = 64);
"#;
