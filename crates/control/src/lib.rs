//! Management operations on resources: validated, authorised, audited.
