-- People sign in: a role and a password for each, sessions, and links to sign in.

-- A server of before this, beside others, makes and invites admins: so were all people until now.
ALTER TABLE admin_user ADD COLUMN role text COLLATE "C" NOT NULL DEFAULT 'admin'
    CHECK (role IN ('viewer', 'member', 'admin'));
ALTER TABLE admin_user ADD COLUMN password_hash text COLLATE "C";
ALTER TABLE admin_user ADD COLUMN last_signed_in_at bigint;
ALTER TABLE admin_user ADD COLUMN revision bigint NOT NULL DEFAULT 0;
ALTER TABLE admin_user_invite ADD COLUMN role text COLLATE "C" NOT NULL DEFAULT 'admin'
    CHECK (role IN ('viewer', 'member', 'admin'));

-- For signing in: an address names no account.
CREATE INDEX admin_user_sign_in ON admin_user (lower(email));

-- The owner is a person, or with the method 'token' an API token. Of the cookie the hash is kept.
CREATE TABLE session (
    id           text COLLATE "C" NOT NULL,
    account_id   text COLLATE "C" NOT NULL REFERENCES account (id),
    token_hash   bytea NOT NULL,
    method       text COLLATE "C" NOT NULL,
    owner_id     text COLLATE "C" NOT NULL,
    user_agent   text COLLATE "C" NOT NULL,
    address      text COLLATE "C" NOT NULL,
    inserted_at  bigint NOT NULL,
    expires_at   bigint NOT NULL,
    last_used_at bigint NOT NULL,
    revision     bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, id)
);

CREATE INDEX session_owner ON session (account_id, owner_id, id);
CREATE INDEX session_expiry ON session (expires_at);
CREATE INDEX session_use ON session (last_used_at);

-- Of the code the hash is kept.
CREATE TABLE sign_in_link (
    id            text COLLATE "C" NOT NULL,
    account_id    text COLLATE "C" NOT NULL REFERENCES account (id),
    admin_user_id text COLLATE "C" NOT NULL,
    code_hash     bytea NOT NULL,
    inserted_at   bigint NOT NULL,
    used_at       bigint,
    revision      bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, id)
);

CREATE INDEX sign_in_link_age ON sign_in_link (inserted_at);
