//! Proving who: secrets, signing keys, registry tokens, certificates.
