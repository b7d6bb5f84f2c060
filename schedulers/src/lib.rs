//! Who gets the next connection.
#![cfg_attr(not(any(feature = "std", test)), no_std)]

pub mod algorithm;

pub use algorithm::{Algorithm, UnknownAlgorithm};
