"""HTML of what the UI shows, made by pure functions: whatever comes from documents or people is escaped."""
