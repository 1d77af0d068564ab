#!/usr/bin/env python3
"""A second implementation of docs/entry-format.md, from that page alone: it writes the kept entries.

    python3 write.py            writes v1/*.bin
    python3 write.py --check    compares with what is there, as the entries of a release must never change

Python's standard library only. It is for reading, not for speed, and its ciphers are not of constant time.
"""

import pathlib
import struct
import sys
import zlib

# --- BLAKE3, as far as deriving keys from one chunk needs it (section 2 of its specification) ---

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
CHUNK_START, CHUNK_END, ROOT = 1, 2, 8
DERIVE_KEY_CONTEXT, DERIVE_KEY_MATERIAL = 32, 64
MASK = 0xFFFFFFFF


def rotated_right(word, by):
    return (word >> by | word << (32 - by)) & MASK


def compress(chaining, block, length, flags):
    words = list(struct.unpack("<16I", block.ljust(64, b"\0")))
    state = [*chaining, *IV[:4], 0, 0, length, flags]

    def mix(a, b, c, d, x, y):
        for extra, first, second in ((x, 16, 12), (y, 8, 7)):
            state[a] = (state[a] + state[b] + extra) & MASK
            state[d] = rotated_right(state[d] ^ state[a], first)
            state[c] = (state[c] + state[d]) & MASK
            state[b] = rotated_right(state[b] ^ state[c], second)

    for _ in range(7):
        for n in range(4):
            mix(n, 4 + n, 8 + n, 12 + n, words[2 * n], words[2 * n + 1])
        for n in range(4):
            mix(n, 4 + (n + 1) % 4, 8 + (n + 2) % 4, 12 + (n + 3) % 4, words[8 + 2 * n], words[9 + 2 * n])
        words = [words[index] for index in PERMUTATION]
    return [state[n] ^ state[n + 8] for n in range(8)]


def blake3_of_one_chunk(key_words, text, flags):
    assert len(text) <= 1024
    blocks = [text[at : at + 64] for at in range(0, len(text), 64)] or [b""]
    chaining = key_words
    for n, block in enumerate(blocks):
        first = CHUNK_START if n == 0 else 0
        last = CHUNK_END | ROOT if n == len(blocks) - 1 else 0
        chaining = compress(chaining, block, len(block), flags | first | last)
    return chaining


def derive_key(context, material):
    context_key = blake3_of_one_chunk(IV, context.encode(), DERIVE_KEY_CONTEXT)
    return struct.pack("<8I", *blake3_of_one_chunk(context_key, material, DERIVE_KEY_MATERIAL))


# --- XChaCha20-Poly1305 (RFC 8439 and draft-irtf-cfrg-xchacha-03) ---


def chacha_rounds(state):
    state = list(state)

    def quarter(a, b, c, d):
        for into, other, by in ((a, (b, d), 16), (c, (d, b), 12), (a, (b, d), 8), (c, (d, b), 7)):
            add, turn = other
            state[into] = (state[into] + state[add]) & MASK
            state[turn] = rotated_right(state[turn] ^ state[into], 32 - by)

    for _ in range(10):
        for n in range(4):
            quarter(n, 4 + n, 8 + n, 12 + n)
        for n in range(4):
            quarter(n, 4 + (n + 1) % 4, 8 + (n + 2) % 4, 12 + (n + 3) % 4)
    return state


def chacha_state(key, rest):
    return struct.unpack("<16I", b"expand 32-byte k" + key + rest)


def hchacha20(key, nonce16):
    mixed = chacha_rounds(chacha_state(key, nonce16))
    return struct.pack("<8I", *mixed[:4], *mixed[12:])


def chacha20_block(key, counter, nonce12):
    state = chacha_state(key, struct.pack("<I", counter) + nonce12)
    return struct.pack("<16I", *((a + b) & MASK for a, b in zip(state, chacha_rounds(state))))


def poly1305(key, text):
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    for at in range(0, len(text), 16):
        total = (total + int.from_bytes(text[at : at + 16] + b"\1", "little")) * r % (2**130 - 5)
    return ((total + int.from_bytes(key[16:], "little")) % 2**128).to_bytes(16, "little")


def encrypt(key, nonce24, associated, plain):
    """The ciphertext, then the tag."""
    subkey, nonce12 = hchacha20(key, nonce24[:16]), bytes(4) + nonce24[16:]
    stream = b"".join(chacha20_block(subkey, 1 + n, nonce12) for n in range(len(plain) // 64 + 1))
    cipher = bytes(a ^ b for a, b in zip(plain, stream))
    padded = b"".join(part + bytes(-len(part) % 16) for part in (associated, cipher))
    lengths = struct.pack("<QQ", len(associated), len(cipher))
    return cipher + poly1305(chacha20_block(subkey, 0, nonce12)[:32], padded + lengths)


# --- Records, as docs/entry-format.md has them ---

COMPRESSED, TOMBSTONE, ENCRYPTED = 1, 2, 4
NEVER = 2**64 - 1
HOUR = 3_600_000


def record(key, fence, times, codec=0, plain=b"", stored=None, flags=0, weight=0, tags=(), keyed=None):
    """`stored` is the compressed payload, if it is compressed; `keyed` (secret, key id, nonce)."""
    payload = plain if stored is None else stored
    flags |= (COMPRESSED if stored is not None else 0) | (ENCRYPTED if keyed else 0)
    length = len(payload) + (8 + 24 + 16 if keyed else 0)
    before = b"\xceLLC" + bytes([1, codec, flags, 0]) + fence + key[:16]
    before += struct.pack("<4Q", *times, weight) + struct.pack("<3I", len(tags), length, len(plain))
    assert len(before) == 84
    rest = b"".join(tag + stamp for tag, stamp in tags)
    if keyed:
        secret, key_id, nonce = keyed
        rest += struct.pack("<Q", key_id)
        derived = derive_key("cache-redis 2026 KeyRing payload v1", secret)
        rest += nonce + encrypt(derived, nonce, before + rest + key, payload)
    else:
        rest += payload
    header = before + struct.pack("<I", zlib.crc32(rest))
    return header + struct.pack("<I", zlib.crc32(header)) + rest


def repeated(byte, count):
    """A zstd frame of one block that repeats a byte (RFC 8878: its RLE_Block), for 1 to 255 times."""
    return b"\x28\xb5\x2f\xfd" + bytes([0x20, count]) + ((count << 3) | 0b011).to_bytes(3, "little") + byte


KEY = b"\xc0" * 32
FENCE = bytes(range(1, 17))
SECRET, KEY_ID, NONCE = b"\x5e" * 32, 0x0102030405060708, bytes(range(0xD0, 0xE8))
START = 1_767_225_600_000
TWO_HOURS = (START, START + HOUR, START + 2 * HOUR)
HELLO = b'{"choices":[{"message":{"content":"hello"}}]}'
MANY = b"a" * 200


def tags(count):
    return [(bytes([0xA0 + n]) * 16, bytes([0xB0 + n]) * 16) for n in range(count)]


def entries():
    def of(times=TWO_HOURS, **more):
        return record(KEY, FENCE, times, **more)

    keyed = (SECRET, KEY_ID, NONCE)
    return {
        "plain.bin": of(codec=1, plain=HELLO, weight=4_321),
        "empty.bin": of(),
        "tagged.bin": of(codec=200, plain=HELLO, weight=99, tags=tags(3)),
        "eternal.bin": of((START, NEVER, NEVER), codec=2, plain=b"\0\xff", weight=NEVER),
        "tombstone.bin": of((START, START + 2 * HOUR, START + 2 * HOUR), flags=TOMBSTONE),
        "compressed.bin": of(plain=MANY, stored=repeated(b"a", 200), weight=200, tags=tags(1)),
        "encrypted.bin": of(codec=1, plain=HELLO, weight=4_321, keyed=keyed),
        "encrypted-empty.bin": of(keyed=keyed),
        "encrypted-tagged.bin": of(codec=200, plain=HELLO, weight=99, tags=tags(3), keyed=keyed),
        "encrypted-compressed.bin": of(
            plain=MANY, stored=repeated(b"a", 200), weight=200, tags=tags(1), keyed=keyed
        ),
    }


def prove_the_ciphers():
    """The test vectors of the specifications."""
    key = bytes(range(0x80, 0xA0))
    text = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
        b"sunscreen would be it."
    )
    associated = bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
    sealed = encrypt(key, bytes(range(0x40, 0x58)), associated, text)
    assert sealed[-16:].hex() == "c0875924c1c7987947deafd8780acf49", "XChaCha20-Poly1305"
    context = "BLAKE3 2019-12-27 16:29:52 test vectors context"
    for length, expected in (
        (0, "2cc39783c223154fea8dfb7c1b1660f2ac2dcbd1c1de8277b0b0dd39b7e50d7d"),
        (1, "b3e2e340a117a499c6cf2398a19ee0d29cca2bb7404c73063382693bf66cb06c"),
    ):
        material = bytes(n % 251 for n in range(length))
        assert derive_key(context, material).hex() == expected, "BLAKE3"


def main():
    prove_the_ciphers()
    folder = pathlib.Path(__file__).parent / "v1"
    check = sys.argv[1:] == ["--check"]
    differing = []
    for name, written in entries().items():
        path = folder / name
        if not check:
            path.write_bytes(written)
        elif path.read_bytes() != written:
            differing.append(name)
    if differing:
        sys.exit(f"not as kept: {', '.join(differing)}")
    print(f"{len(entries())} entries {'are as kept' if check else 'written'}")


if __name__ == "__main__":
    main()
