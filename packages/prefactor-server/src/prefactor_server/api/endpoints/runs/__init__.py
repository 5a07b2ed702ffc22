"""Operations on runs and spans."""
