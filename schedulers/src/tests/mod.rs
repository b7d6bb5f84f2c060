//! Properties of all rules, in words.

mod equivalence;
