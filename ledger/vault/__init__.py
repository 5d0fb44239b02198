"""The vault: keys of streams, sealed fields, and their destruction."""
