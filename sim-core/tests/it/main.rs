//! The world as a whole.

mod conservation;
mod mistakes;
mod network;
mod tcp;
mod udp;
