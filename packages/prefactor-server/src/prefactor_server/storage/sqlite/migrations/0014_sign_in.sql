-- People sign in: a role and a password for each, sessions, and links to sign in.

-- A server of before this, beside others, makes and invites admins: so were all people until now.
ALTER TABLE admin_user ADD COLUMN role TEXT NOT NULL DEFAULT 'admin'
    CHECK (role IN ('viewer', 'member', 'admin'));
ALTER TABLE admin_user ADD COLUMN password_hash TEXT;
ALTER TABLE admin_user ADD COLUMN last_signed_in_at INTEGER;
ALTER TABLE admin_user_invite ADD COLUMN role TEXT NOT NULL DEFAULT 'admin'
    CHECK (role IN ('viewer', 'member', 'admin'));

-- For signing in: an address names no account.
CREATE INDEX admin_user_sign_in ON admin_user (lower(email));

-- The owner is a person, or with the method 'token' an API token. Of the cookie the hash is kept.
CREATE TABLE session (
    id           TEXT NOT NULL,
    account_id   TEXT NOT NULL REFERENCES account (id),
    token_hash   BLOB NOT NULL,
    method       TEXT NOT NULL,
    owner_id     TEXT NOT NULL,
    user_agent   TEXT NOT NULL,
    address      TEXT NOT NULL,
    inserted_at  INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, id)
) STRICT;

CREATE INDEX session_owner ON session (account_id, owner_id, id);
CREATE INDEX session_expiry ON session (expires_at);
CREATE INDEX session_use ON session (last_used_at);

-- Of the code the hash is kept.
CREATE TABLE sign_in_link (
    id            TEXT NOT NULL,
    account_id    TEXT NOT NULL REFERENCES account (id),
    admin_user_id TEXT NOT NULL,
    code_hash     BLOB NOT NULL,
    inserted_at   INTEGER NOT NULL,
    used_at       INTEGER,
    PRIMARY KEY (account_id, id)
) STRICT;

CREATE INDEX sign_in_link_age ON sign_in_link (inserted_at);
