//! The command as people use it.

#[cfg(test)]
mod command;
#[cfg(test)]
mod mistakes;
#[cfg(test)]
mod shipped;
#[cfg(test)]
mod support;
