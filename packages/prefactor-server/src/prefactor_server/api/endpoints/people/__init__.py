"""Operations on the people of an account."""
