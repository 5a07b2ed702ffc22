-- A link to sign in belongs to a person or to an API token.
CREATE TABLE new_sign_in_link (
    id            TEXT NOT NULL,
    account_id    TEXT NOT NULL REFERENCES account (id),
    admin_user_id TEXT,
    api_token_id  TEXT,
    code_hash     BLOB NOT NULL,
    inserted_at   INTEGER NOT NULL,
    used_at       INTEGER,
    PRIMARY KEY (account_id, id),
    CHECK ((admin_user_id IS NULL) <> (api_token_id IS NULL))
) STRICT;

INSERT INTO new_sign_in_link (id, account_id, admin_user_id, code_hash, inserted_at, used_at)
SELECT id, account_id, admin_user_id, code_hash, inserted_at, used_at FROM sign_in_link;

DROP TABLE sign_in_link;
ALTER TABLE new_sign_in_link RENAME TO sign_in_link;
CREATE INDEX sign_in_link_age ON sign_in_link (inserted_at);
