-- For lists of the deliveries with a status, of all webhooks of an account.
CREATE INDEX webhook_delivery_of_account_status
    ON webhook_delivery (account_id, status, inserted_at NULLS FIRST, id);
