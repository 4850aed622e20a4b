"""Sealed gossip datagrams as core/crypto/seal.h draws them, made from the files of a node's root:
what a thief of some of them could send. libsodium by ctypes."""

import base64
import ctypes
import ctypes.util
import hashlib
import os
import re


def sodium():
    name = ctypes.util.find_library("sodium")
    lib = ctypes.CDLL(name) if name else None
    return lib if lib is not None and lib.sodium_init() >= 0 else None


def _read(root, name):
    with open(os.path.join(root, "var/lib/parley", name)) as f:
        return f.read()


class Identity:
    """A node's Ed25519 key: its own of a root folder, or a new one."""

    def __init__(self, lib, root=None):
        self.lib = lib
        seed = base64.b64decode(_read(root, "gossip.key").split()[2]) if root else os.urandom(32)
        public, secret = ctypes.create_string_buffer(32), ctypes.create_string_buffer(64)
        lib.crypto_sign_seed_keypair(public, secret, seed)
        self.public, self.secret = public.raw, secret.raw
        self.id = hashlib.blake2b(self.public, digest_size=32).digest()[:16]

    def agree(self, public):
        mine, theirs = ctypes.create_string_buffer(32), ctypes.create_string_buffer(32)
        shared = ctypes.create_string_buffer(32)
        self.lib.crypto_sign_ed25519_sk_to_curve25519(mine, self.secret)
        assert self.lib.crypto_sign_ed25519_pk_to_curve25519(theirs, public) == 0
        assert self.lib.crypto_scalarmult(shared, mine, theirs) == 0
        return shared.raw


def group_keys(root):
    text = _read(root, "keyring")
    blocks = re.findall(r"-----BEGIN PARLEY GROUP KEY-----(.*?)-----END", text, re.S)
    return [base64.b64decode(b) for b in blocks]


def mesh_id(root):
    return bytes.fromhex(re.search(r"^id = (\w+)$", _read(root, "mesh"), re.M).group(1))


def epoch(root):
    return int(_read(root, "epoch").split()[-1])


def seal(lib, group, key, sender_id, receiver, mesh, epochs, counter, plain):
    """A datagram to `receiver` in the name of `sender_id`, with what the identity `key` shares with
    it; `epochs`: the sender's and the receiver's."""
    ids = sorted([sender_id, receiver.id])
    pair = key.agree(receiver.public) + ids[0] + ids[1] + mesh
    secret = hashlib.blake2b(pair, digest_size=32, key=group).digest()
    key_id = hashlib.blake2b(group, digest_size=32).digest()[:4]
    tail = sender_id[:8] + epochs[0].to_bytes(6, "big") + counter.to_bytes(6, "big")
    header = b"\x01" + key_id + tail
    data = header + mesh + sender_id + receiver.id + epochs[1].to_bytes(6, "big")
    out = ctypes.create_string_buffer(len(plain) + 16)
    lib.crypto_aead_xchacha20poly1305_ietf_encrypt(
        out,
        None,
        plain,
        ctypes.c_ulonglong(len(plain)),
        data,
        ctypes.c_ulonglong(len(data)),
        None,
        tail + bytes(4),
        secret,
    )
    return header + out.raw
