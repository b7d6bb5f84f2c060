//! The `hosts` room.
