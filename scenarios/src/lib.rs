//! What people write, what they ask.
