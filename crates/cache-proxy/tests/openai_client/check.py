"""Drives the unmodified `openai` client through the proxy: only base_url and api_key are set.

Usage: check.py BASE_URL. Each case is asked twice; the second answer must come from the cache and be
the same object, down to the last member. Exits with an AssertionError at the first difference.
"""

import sys

import openai

BASE_URL = sys.argv[1]
CLIENT = openai.OpenAI(base_url=BASE_URL, api_key="sk-check")

QUESTION = [{"role": "user", "content": "Why do rivers bend?"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Looks a river up.",
        "parameters": {
            "type": "object",
            "properties": {"river": {"type": "string"}},
            "required": ["river"],
        },
    },
}


def chat(**options):
    raw = CLIENT.chat.completions.with_raw_response.create(model="gpt-4o-mini", messages=QUESTION, **options)
    return raw.headers, raw.parse().model_dump()


def streamed(**options):
    raw = CLIENT.chat.completions.with_raw_response.create(
        model="gpt-4o-mini", messages=QUESTION, stream=True, **options
    )
    with raw.parse() as stream:
        return raw.headers, [chunk.model_dump() for chunk in stream]


def embedded(**options):
    raw = CLIENT.embeddings.with_raw_response.create(model="text-embedding-3-small", **options)
    return raw.headers, raw.parse().model_dump()


CASES = {
    "chat": lambda: chat(),
    "chat, two choices": lambda: chat(n=2, temperature=0.5),
    "chat with tools": lambda: chat(tools=[TOOL]),
    "stream": lambda: streamed(seed=1),
    "stream with usage": lambda: streamed(seed=2, stream_options={"include_usage": True}),
    "stream with tools": lambda: streamed(seed=3, tools=[TOOL]),
    # The client asks for base64 by default and decodes it; see its Embeddings.create.
    "embeddings": lambda: embedded(input=["sand", "clay"]),
    "embeddings as floats": lambda: embedded(input="silt", encoding_format="float", dimensions=64),
    "embeddings of tokens": lambda: embedded(input=[[1, 2, 3], [4]]),
}


def joined(chunks):
    """What a client makes of a stream: the plain answer."""
    answer = {**chunks[0], "object": "chat.completion", "usage": chunks[-1]["usage"]}
    choices = {}
    for chunk in chunks:
        for part in chunk["choices"]:
            choice = choices.setdefault(part["index"], {"content": "", "calls": {}, "finish_reason": None})
            choice["content"] += part["delta"]["content"] or ""
            choice["finish_reason"] = part["finish_reason"] or choice["finish_reason"]
            for call in part["delta"]["tool_calls"] or []:
                whole = choice["calls"].setdefault(call["index"], {"id": call["id"], "name": "", "arguments": ""})
                whole["name"] += call["function"]["name"] or ""
                whole["arguments"] += call["function"]["arguments"] or ""
    return {name: answer[name] for name in ("id", "created", "model", "usage", "object")}, choices


def of_plain(answer):
    choices = {}
    for choice in answer["choices"]:
        message = choice["message"]
        calls = enumerate(message["tool_calls"] or [])
        choices[choice["index"]] = {
            "content": message["content"] or "",
            "calls": {index: {"id": call["id"], **call["function"]} for index, call in calls},
            "finish_reason": choice["finish_reason"],
        }
    return {name: answer[name] for name in ("id", "created", "model", "usage", "object")}, choices


def check_transports():
    """A stored answer serves the other transport, and the client reads the same answer from it."""
    usage = {"stream_options": {"include_usage": True}}
    for options in [{"seed": 11}, {"seed": 12, "tools": [TOOL]}, {"seed": 13, "n": 2}]:
        _, plain = chat(**options)
        headers, chunks = streamed(**options, **usage)
        assert is_hit(headers), f"a stream of a stored plain answer: {headers.get('cache-status')}"
        assert joined(chunks) == of_plain(plain), f"{joined(chunks)}\n{of_plain(plain)}"
    for options in [{"seed": 21}, {"seed": 22, "tools": [TOOL]}]:
        _, chunks = streamed(**options, **usage)
        headers, plain = chat(**options)
        assert is_hit(headers), f"a plain answer of a stored stream: {headers.get('cache-status')}"
        assert joined(chunks) == of_plain(plain), f"{joined(chunks)}\n{of_plain(plain)}"
    print("same answer in both transports")


def is_hit(headers):
    status = headers.get("cache-status")
    assert status, "no Cache-Status header"
    return "hit" in [part.strip() for part in status.split(";")]


def check_twice(name, ask):
    first_headers, first = ask()
    second_headers, second = ask()
    assert not is_hit(first_headers), f"{name}: the first answer is a hit already: {first_headers}"
    assert is_hit(second_headers), f"{name}: not a hit: {second_headers.get('cache-status')}"
    assert "age" in second_headers, f"{name}: a hit without Age"
    assert first == second, f"{name}: miss and hit differ:\n{first}\n{second}"
    assert first, f"{name}: an empty answer"
    print("same object on miss and hit:", name)


def check_error(error, model):
    """Errors keep their type and are asked anew each time."""
    client = CLIENT.with_options(max_retries=0)
    for _ in range(2):
        try:
            client.chat.completions.create(model=model, messages=QUESTION)
        except error as raised:
            status = raised.response.headers.get("cache-status", "")
            assert "hit" not in status, f"{model}: an error from the cache: {status}"
        else:
            raise AssertionError(f"{model}: no {error.__name__}")
    print("typed error:", error.__name__)


for case, function in CASES.items():
    check_twice(case, function)
check_transports()
check_error(openai.NotFoundError, "no-such-model")
check_error(openai.RateLimitError, "sim-rate-limit")
check_error(openai.InternalServerError, "sim-server-error")

usage = [chunk["usage"] for chunk in CASES["stream with usage"]()[1]]
assert usage[-1] and not any(usage[:-1]), "the usage comes in the last chunk alone"
assert CLIENT.models.list().data, "what is not cached passes through"
print("all good with openai", openai.__version__)
