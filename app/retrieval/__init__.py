"""Finding passages: by meaning (Chroma) and by words (PostgreSQL), fused."""
