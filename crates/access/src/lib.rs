//! The one decision: may this principal do this action on this resource, now? Its answer is a permit.
