"""Backup and restore: the event store and the key store, each in a signed archive of its own."""
