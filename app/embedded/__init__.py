"""The servers inside one installation, PostgreSQL and Chroma: owned by this process and gone with it."""
