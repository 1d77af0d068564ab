//! Canonical form and hashing of LLM requests: from a raw JSON body to a 256-bit cache key.
