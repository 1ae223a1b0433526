//! OCI distribution: uploads, blobs, manifests, tags, referrers, mounts, locks.
