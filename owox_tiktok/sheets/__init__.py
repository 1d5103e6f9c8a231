"""Everything about Google Sheets: the client, a tab per stream as a destination, and the Sheet that steers imports."""
