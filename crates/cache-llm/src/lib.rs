//! LLM answers in a cache: what may be stored, under which key, for how long; streams recorded and replayed.
