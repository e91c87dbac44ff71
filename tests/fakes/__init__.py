"""Stand-ins for servers that tests cannot have."""
