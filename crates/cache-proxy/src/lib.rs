//! A caching reverse proxy for OpenAI-compatible APIs.
