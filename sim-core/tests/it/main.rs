//! The world as a whole.

mod network;
mod udp;
