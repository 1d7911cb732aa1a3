"""The page in the browser: its files, its sessions and what it asks about the caller."""
