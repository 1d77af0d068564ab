//! The contract of a remote cache tier as a test suite that any tier can run.
