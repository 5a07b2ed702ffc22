"""Series: what an account's agents did, bucket by bucket."""
