//! Metadata in SQLite or PostgreSQL, blobs on local disk or in S3.
