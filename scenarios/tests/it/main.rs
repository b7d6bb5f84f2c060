//! The command as people use it.

mod command;
mod mistakes;
mod support;
