//! A tower layer that answers LLM API requests from a cache.
