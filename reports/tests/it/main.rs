//! The crate as its users see it: what leaves is well-formed, complete, the same every time, and
//! no input makes it panic.

mod page;
mod plots;
mod tables;
mod xml;
