"""The vectors of proofs, tiles and trust policies; `make_c2sp` writes them."""

from ledger_verifier.formats.checkpoint import Checkpoint
from ledger_verifier.formats.merkle import prove_consistency, prove_inclusion, root_of
from ledger_verifier.formats.note import Ed25519Signer
from ledger_verifier.formats.policy import Policy, PolicyGroup, PolicyLog, PolicyWitness
from ledger_verifier.formats.proof import LogProof
from ledger_verifier.formats.tiles import bundles_of, encode_entries, tiles_of
from tests.vectors.c2sp_base import (
    ENTRIES,
    LEAVES,
    LOG,
    LOG_MLDSA,
    ORIGIN,
    SIZE,
    STRANGER,
    WITNESS,
    WITNESS_3,
    WITNESS_MLDSA,
    Edit,
    Json,
    before,
    defects,
    following,
    nodes,
    raw,
    seed,
    signed,
    swap,
)


def proof_edits(good: str) -> dict[str, Edit]:
    first = good.splitlines()[3]
    return {
        "empty": lambda _: "",
        "other-version": swap("@v1", "@v2"),
        "no-index": swap("index 6\n", ""),
        "index-with-leading-zero": swap("index 6\n", "index 06\n"),
        "index-negative": swap("index 6", "index -6"),
        "index-over-2-63": swap("index 6", f"index {2**63}"),
        "extra-after-index": lambda proof: proof.replace("extra c2Vlbg==\n", "").replace(
            "index 6\n", "index 6\nextra c2Vlbg==\n"
        ),
        "two-extra-lines": before("extra ", "extra c2Vlbg==\n"),
        "extra-not-base64": swap("c2Vlbg==", "c2Vlbg"),
        "short-hash": swap(first, first[:-4]),
        "hash-with-loose-trailing-bits": swap(first, first[:-2] + following(first[-2]) + "="),
        "64-hashes": swap(first + "\n", (first + "\n") * 64),
        "no-empty-line": swap("\n\n", "\n"),
        "two-empty-lines": swap("\n\n", "\n\n\n"),
        "no-checkpoint": lambda proof: proof.partition("\n\n")[0] + "\n\n",
        "unsigned-checkpoint": lambda proof: proof.rpartition("\n\n")[0] + "\n",
        "carriage-returns": lambda proof: proof.replace("\n", "\r\n"),
        "trailing-empty-line": lambda proof: proof + "\n",
        "byte-order-mark": lambda proof: "\ufeff" + proof,
        "not-utf-8": raw(b"index", b"\xff"),
    }


def make_proofs() -> Json:
    node, root = nodes(LEAVES), root_of(LEAVES)
    inclusion = [hash_.hex() for hash_ in prove_inclusion(6, SIZE, node)]
    consistency = [hash_.hex() for hash_ in prove_consistency(6, SIZE, node)]
    flipped = f"{int(inclusion[1][0], 16) ^ 1:x}" + inclusion[1][1:]
    text = Checkpoint(ORIGIN, SIZE, root).text
    checkpoint = signed(text, LOG.sign(text))
    file = LogProof(6, tuple(map(bytes.fromhex, inclusion)), checkpoint.encode(), b"seen").encode()
    return {
        "entries": [entry.decode() for entry in ENTRIES],
        "root": root.hex(),
        "key": LOG.key.vkey,
        "inclusion": {
            "index": 6,
            "size": SIZE,
            "hashes": inclusion,
            "bad": {
                "one-too-many": [*inclusion, inclusion[0]],
                "one-too-few": inclusion[:-1],
                "none": [],
                "bit-flipped": [inclusion[0], flipped, *inclusion[2:]],
                "order-reversed": inclusion[::-1],
                "short-hash": [inclusion[0][:-2], *inclusion[1:]],
            },
        },
        "consistency": {
            "old": 6,
            "new": SIZE,
            "old_root": root_of(LEAVES[:6]).hex(),
            "hashes": consistency,
            "bad": {
                "one-too-many": [*consistency, consistency[0]],
                "one-too-few": consistency[:-1],
                "none": [],
                "order-reversed": consistency[::-1],
            },
        },
        "files": {
            "good": [{"name": "index-6", "text": file, "index": 6}],
            "bad": defects(file, proof_edits(file), "ProofError"),
        },
    }


def make_tiles() -> Json:
    bundle = encode_entries(ENTRIES[:3]).hex()
    good = {
        "tile/0/000": [0, 0, 256],
        "tile/0/999.p/255": [0, 999, 255],
        "tile/0/x001/000": [0, 1000, 256],
        "tile/3/x001/x234/067": [3, 1234067, 256],
        "tile/0/x001/067.p/5": [0, 1067, 5],
        "tile/63/000.p/1": [63, 0, 1],
        "tile/entries/000": [None, 0, 256],
        "tile/entries/x273/x000/123.p/112": [None, 273000123, 112],
    }
    bad = [
        *("", "tile", "tile/0", "/tile/0/000", "tile/0/000/", "tile/0//000", "tile/0/000\n"),
        *("tile/00/000", "tile/01/000", "tile/64/000", "tile/-1/000", "tile/+1/000"),
        *("tile/Entries/000", "tile/0/0", "tile/0/0000", "tile/0/x000/001", "tile/0/001/002"),
        *("tile/0/x001", "tile/0/X001/000", "tile/0/000.p/0", "tile/0/000.p/256"),
        *("tile/0/000.p/01", "tile/0/000.p/", "tile/0/000.p", "tile/0/../000", "tile/0/٠٠٠"),
        *("tile/0/000.p/5/", "tile/0/%30%30%30", "tile/0/" + "x999/" * 12 + "999"),
    ]
    return {
        "paths": {"good": good, "bad": bad},
        "trees": {
            str(size): [tile.path for tile in (*tiles_of(size), *bundles_of(size))]
            for size in (0, 1, 255, 256, 257, 512, 1000)
        },
        "bundle": {
            "entries": [entry.decode() for entry in ENTRIES[:3]],
            "hex": bundle,
            "bad": {
                "empty": "",
                "trailing-byte": bundle + "00",
                "last-byte-missing": bundle[:-2],
                "length-missing": bundle[: -2 * (2 + len(ENTRIES[2]))],
                "one-entry-more": bundle + "0000",
                "length-past-the-end": "ffff" + bundle[4:],
            },
        },
    }


def policy_edits() -> dict[str, Edit]:
    group = "group both 2 w1 w2\n"
    w1 = f"witness w1 {WITNESS.key.vkey} https://w1.example\n"
    log = f"log {LOG.key.vkey} https://ledger.example\n"
    return {
        "empty": lambda _: "",
        "no-quorum": swap("quorum both\n", ""),
        "two-quorums": lambda text: text + "quorum none\n",
        "cut-short": lambda text: text[:-1],
        "quorum-of-nothing": swap("quorum both", "quorum other"),
        "quorum-before-its-group": lambda text: "quorum both\n" + text.replace("quorum both\n", ""),
        "group-of-nothing": swap(group, "group both 1\n"),
        "group-member-undefined": swap(group, "group both all w1 w3\n"),
        "group-member-defined-later": lambda text: group + text.replace(group, ""),
        "group-of-itself": swap(group, "group both all w1 both\n"),
        "group-member-none": swap(group, "group both all w1 none\n"),
        "group-member-twice": swap(group, "group both 2 w1 w1\n"),
        "member-of-two-groups": swap(group, group + "group again any w2\n"),
        "threshold-0": swap(" 2 w1", " 0 w1"),
        "threshold-too-high": swap(" 2 w1", " 3 w1"),
        "threshold-with-leading-zero": swap(" 2 w1", " 02 w1"),
        "threshold-word": swap(" 2 w1", " most w1"),
        "name-twice": swap("witness w2", "witness w1"),
        "name-reserved": lambda text: text.replace("w1", "none"),
        "witness-key-twice": swap(w1, w1 + w1.replace("w1 ", "w3 ", 1)),
        "log-key-twice": swap(log, log + log),
        "same-key-under-two-names": swap(
            log, log + f"log {Ed25519Signer('other.example', seed('log')).key.vkey}\n"
        ),
        "witness-key-of-a-log-type": swap(WITNESS.key.vkey, STRANGER.key.vkey),
        "broken-key": swap(LOG.key.vkey, LOG.key.vkey[:-4]),
        "unknown-word": lambda text: text + "threshold 2\n",
        "word-in-capitals": swap("quorum", "QUORUM"),
        "too-many-words": swap(log, log[:-1] + " more\n"),
        "carriage-returns": lambda text: text.replace("\n", "\r\n"),
        "control-character": lambda text: "# \x1b[2J\n" + text,
        "delete-character": lambda text: "# \x7f\n" + text,
        "not-utf-8": raw(b"both", b"\xff"),
        "no-break-space": swap("quorum both", "quorum\u00a0both"),
    }


def make_policies() -> Json:
    policy = Policy(
        (PolicyLog(LOG.key, "https://ledger.example"), PolicyLog(LOG_MLDSA.key)),
        (
            PolicyWitness("w1", WITNESS.key, "https://w1.example"),
            PolicyWitness("w2", WITNESS_MLDSA.key),
        ),
        (PolicyGroup("both", 2, ("w1", "w2")),),
        "both",
    )
    good = policy.encode().decode()
    # The defects are made in a policy without ML-DSA-44, whose keys are long.
    short = good.replace(f"log {LOG_MLDSA.key.vkey}\n", "")
    short = short.replace(WITNESS_MLDSA.key.vkey, WITNESS_3.key.vkey)
    w1 = f"witness w1 {WITNESS.key.vkey} https://w1.example\n"
    log = f"log {LOG.key.vkey} https://ledger.example\n"
    return {
        "good": [
            {"name": "both", "text": good, "quorum": "both"},
            {
                "name": "comments-tabs-and-words",
                "text": f"# policy\n\n \t\n\t{log} {w1}group any-one any\tw1  \nquorum any-one\n",
                "quorum": "any-one",
            },
            {"name": "nothing-known", "text": "quorum none\n", "quorum": None},
        ],
        "bad": defects(short, policy_edits(), "PolicyError"),
    }
