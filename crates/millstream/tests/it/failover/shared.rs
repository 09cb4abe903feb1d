//! What arrives by the shared stream.
