-- An id for each entry of the audit log, which makes its order total, and an index for each filter of
-- its list.
CREATE TABLE audit_entry_with_id (
    id          TEXT NOT NULL PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))),
    account_id  TEXT NOT NULL,
    at          INTEGER NOT NULL,
    actor       TEXT NOT NULL,
    action      TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    detail      TEXT
) STRICT;

INSERT INTO audit_entry_with_id (account_id, at, actor, action, resource_id, detail)
SELECT account_id, at, actor, action, resource_id, detail FROM audit_entry ORDER BY rowid;

DROP TABLE audit_entry;

ALTER TABLE audit_entry_with_id RENAME TO audit_entry;

CREATE INDEX audit_entry_of_account ON audit_entry (account_id, at, id);
CREATE INDEX audit_entry_of_actor ON audit_entry (account_id, actor, at, id);
CREATE INDEX audit_entry_of_action ON audit_entry (account_id, action, at, id);
CREATE INDEX audit_entry_of_resource ON audit_entry (account_id, resource_id, at, id);
