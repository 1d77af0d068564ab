#!/usr/bin/env python3
"""Computes the golden vectors again, from `docs/key-format.md` alone: nothing here is shared with the
crate, BLAKE3 included (its specification, section 2). Needs nothing but Python.

    reproduce.py            says which vectors of v1 do not reproduce
    reproduce.py --write    writes them: only before a release, or into the folder of a new version
"""

import json
import pathlib
import sys

# --- BLAKE3 ---------------------------------------------------------------------------------------

IV = [0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19]
ORDER = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]
CHUNK_START, CHUNK_END, PARENT, ROOT, KEYED, CONTEXT, MATERIAL = 1, 2, 4, 8, 16, 32, 64


def words(data):
    return [int.from_bytes(data[i : i + 4], "little") for i in range(0, len(data), 4)]


def compress(chaining, block, counter, length, flags):
    v = chaining + IV[:4] + [counter & 0xFFFFFFFF, counter >> 32, length, flags]
    m = block

    def turn(x, bits):
        return (x >> bits | x << 32 - bits) & 0xFFFFFFFF

    def mix(a, b, c, d, x, y):
        for word, right, left in ((x, 16, 12), (y, 8, 7)):
            v[a] = v[a] + v[b] + word & 0xFFFFFFFF
            v[d] = turn(v[d] ^ v[a], right)
            v[c] = v[c] + v[d] & 0xFFFFFFFF
            v[b] = turn(v[b] ^ v[c], left)

    for _ in range(7):
        for i in range(4):
            mix(i, 4 + i, 8 + i, 12 + i, m[2 * i], m[2 * i + 1])
        for i in range(4):
            mix(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4, m[8 + 2 * i], m[9 + 2 * i])
        m = [m[i] for i in ORDER]
    return [v[i] ^ v[i + 8] for i in range(8)]


def tree(data, start, key, flags, root):
    if len(data) <= 1024:
        blocks = [data[i : i + 64] for i in range(0, len(data), 64)] or [b""]
        chaining = key
        for i, block in enumerate(blocks):
            more = CHUNK_START if i == 0 else 0
            if i == len(blocks) - 1:
                more |= CHUNK_END | root
            padded = words(block.ljust(64, b"\0"))
            chaining = compress(chaining, padded, start, len(block), flags | more)
        return chaining
    left = 1024
    while left * 2 < len(data):
        left *= 2
    children = tree(data[:left], start, key, flags, 0) + tree(data[left:], start + left // 1024, key, flags, 0)
    return compress(key, children, 0, 64, flags | PARENT | root)


def blake3(data, key=None, flags=0):
    key, flags = (IV, flags) if key is None else (words(key), flags or KEYED)
    return b"".join(word.to_bytes(4, "little") for word in tree(data, 0, key, flags, ROOT))


def derive(context, material):
    return blake3(material, blake3(context.encode(), None, CONTEXT), MATERIAL)


# --- the format -----------------------------------------------------------------------------------


def varint(n):
    out = b""
    while n >= 128:
        out += bytes([n % 128 + 128])
        n //= 128
    return out + bytes([n])


def frame(data):
    data = data.encode() if isinstance(data, str) else data
    return varint(len(data)) + data


def head(tag, n):
    return varint(8 * n + tag)


class Number(str):
    """As it was written."""


class Members(list):
    """An object: pairs in the order of the text."""


def number(text):
    sign, text = (2, text[1:]) if text[0] == "-" else (1, text)
    digits, _, exponent = text.lower().partition("e")
    whole, _, fraction = digits.partition(".")
    exponent = int(exponent or "0") - len(fraction)
    digits = (whole + fraction).lstrip("0")
    exponent += len(digits) - len(digits.rstrip("0"))
    digits = digits.rstrip("0")
    if not digits:
        sign, exponent = 1, 0
    zigzag = 2 * exponent if exponent >= 0 else -2 * exponent - 1
    return head(sign, len(digits)) + digits.encode() + varint(zigzag)


def value(it):
    if it is None or it is False or it is True:
        return head(0, [None, False, True].index(it))
    if isinstance(it, Number):
        return number(it)
    if isinstance(it, str):
        return head(3, len(it.encode())) + it.encode()
    if isinstance(it, Members):
        return members((name, value(below)) for name, below in it)
    return head(4, len(it)) + b"".join(value(item) for item in it)


def members(pairs):
    named = sorted((name.encode(), form) for name, form in pairs)
    assert len({name for name, _ in named}) == len(named), "two members of one name"
    return head(5, 0) + b"".join(varint(len(n) + 1) + n + form for n, form in named) + b"\0"


# --- the rules ------------------------------------------------------------------------------------

KINDS = ["chat.completions", "completions", "responses", "messages", "embeddings", "rerank", "generic"]
FITS = {
    "stream": lambda it: it is None or isinstance(it, bool),
    "stream_options": lambda it: it is None or isinstance(it, Members),
    "request_id": lambda it: it is None or (isinstance(it, str) and not isinstance(it, Number)),
}
OPENAI = ["stream", "stream_options", "request_id"]
LEFT_OUT = {
    "chat.completions": OPENAI,
    "completions": OPENAI,
    "responses": OPENAI,
    "messages": ["stream"],
    "embeddings": ["request_id"],
    "rerank": ["request_id"],
    "generic": [],
}
NULL_IS_ABSENT = {
    "chat.completions": """audio frequency_penalty function_call functions logit_bias logprobs
        max_completion_tokens max_tokens metadata modalities n parallel_tool_calls prediction
        presence_penalty prompt_cache_key reasoning_effort response_format safety_identifier seed
        service_tier stop store temperature tool_choice tools top_logprobs top_p user verbosity
        web_search_options""",
    "completions": """best_of echo frequency_penalty logit_bias logprobs max_tokens n presence_penalty
        seed stop suffix temperature top_p user""",
    "responses": """background conversation include instructions max_output_tokens max_tool_calls
        metadata parallel_tool_calls previous_response_id prompt prompt_cache_key reasoning
        safety_identifier service_tier store temperature text tool_choice tools top_logprobs top_p
        truncation user""",
    "messages": "metadata service_tier stop_sequences system temperature thinking tool_choice tools top_k top_p",
    "embeddings": "dimensions encoding_format user",
    "rerank": "max_tokens_per_doc rank_fields return_documents top_n",
    "generic": "",
}
NULL_IN_MESSAGE = "audio content function_call name refusal tool_calls".split()


def message(kind, it):
    if not isinstance(it, Members):
        return value(it)
    null_is_absent = NULL_IN_MESSAGE if kind == "chat.completions" else []
    counting = [(n, below) for n, below in it if below is not None or n not in null_is_absent]
    return members((n, value(only_text(below) if n == "content" else below)) for n, below in counting)


def only_text(content):
    if isinstance(content, list) and not isinstance(content, Members) and len(content) == 1:
        part = content[0]
        if isinstance(part, Members) and len(part) == 2:
            part = dict(part)
            text = part.get("text")
            if part.get("type") == "text" and isinstance(text, str) and not isinstance(text, Number):
                return text
    return content


def body(kind, it):
    counting = []
    for name, below in it:
        if name in LEFT_OUT[kind] and FITS[name](below):
            continue
        if below is None and name in NULL_IS_ABSENT[kind].split():
            continue
        if name == "messages" and type(below) is list and kind in ("chat.completions", "messages"):
            form = head(4, len(below)) + b"".join(message(kind, item) for item in below)
        elif name == "extra_body" and isinstance(below, Members):
            out = [rule for rule in LEFT_OUT[kind] if rule != "stream"]
            form = members((n, value(v)) for n, v in below if not (n in out and FITS[n](v)))
        else:
            form = value(below)
        counting.append((name, form))
    return members(counting)


# --- the scope ------------------------------------------------------------------------------------


def tenant(it):
    if isinstance(it, str):
        return bytes([["shared", "anonymous"].index(it)])
    if "named" in it:
        return b"\x02" + frame(it["named"])
    return b"\x03" + derive("cache-key 2026 Tenant::credential v1", it["credential"].encode())


def pairs(given):
    given = sorted(given, key=lambda pair: pair[0].encode())  # keeps the order of one name
    return varint(len(given)) + b"".join(frame(name) + frame(text) for name, text in given)


def scope_digest(scope):
    preimage = b"cachekey" + varint(1) + frame(scope.get("namespace", "")) + tenant(scope["tenant"])
    preimage += frame(scope.get("provider", "")) + frame(scope.get("base_url", ""))
    preimage += pairs([[name.lower(), text] for name, text in scope.get("headers", [])])
    preimage += pairs(scope.get("parts", []))
    secret = scope.get("secret")
    return blake3(preimage, secret and bytes.fromhex(secret))


def main():
    write = sys.argv[1:] == ["--write"]
    wrong = 0
    for file in sorted(pathlib.Path(__file__).parent.glob("v1/*.json")):
        vector = json.loads(file.read_text())
        parsed = json.loads(
            vector["body"], parse_int=Number, parse_float=Number, object_pairs_hook=Members
        )
        kind = vector["endpoint"]
        canonical = body(kind, parsed)
        code = bytes([1 + KINDS.index(kind)])
        key = blake3(code + canonical, scope_digest(vector["scope"]))
        made = vector | {"canonical": canonical.hex(), "key": key.hex()}
        if write:
            file.write_text(json.dumps(made, indent=2) + "\n")
        elif made != vector:
            print(f"{file.name} does not reproduce")
            wrong += 1
    print("KeyBuilder:", blake3(b"keyparts" + varint(1) + frame("profile page") + frame("ann") + frame(b"\0\1\2")).hex())
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
