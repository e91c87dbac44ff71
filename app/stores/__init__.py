"""What is kept, and where: PostgreSQL and objects hold the truth, Chroma a copy of the vectors."""
