//! The hybrid cache that gateways import: memory in front, any remote tier behind, one fetch per key.
