-- A link to sign in belongs to a person or to an API token.
ALTER TABLE sign_in_link ALTER COLUMN admin_user_id DROP NOT NULL;
ALTER TABLE sign_in_link ADD COLUMN api_token_id text COLLATE "C";
ALTER TABLE sign_in_link ADD CHECK ((admin_user_id IS NULL) <> (api_token_id IS NULL));
