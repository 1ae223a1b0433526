//! One router, connection origin, authentication, and the faces.
