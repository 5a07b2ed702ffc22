-- People sign in with OpenID Connect: whom the provider knows them as.

ALTER TABLE admin_user ADD COLUMN openid_issuer text COLLATE "C";
ALTER TABLE admin_user ADD COLUMN openid_subject text COLLATE "C";

CREATE UNIQUE INDEX admin_user_openid ON admin_user (account_id, openid_subject, openid_issuer)
    WHERE openid_subject IS NOT NULL;

-- An invitation is found by the e-mail that the provider has verified.
CREATE INDEX admin_user_invite_email ON admin_user_invite (account_id, email);
