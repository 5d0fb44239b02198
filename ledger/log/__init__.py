"""The append-only log: its Merkle tree, the sequencer that alone appends, guard and publisher."""
