//! The `tcp` room.
