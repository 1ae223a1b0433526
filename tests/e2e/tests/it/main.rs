//! End-to-end tests: the real programs on this machine's loopback, used as people and their tools use them.
