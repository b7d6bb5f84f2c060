//! What was noticed while a file of a program was read.

use super::commands::Remark;
use crate::diagnostic::{Place, Problem};

/// What was noticed while a file was read.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Findings {
    /// With these the program does not start.
    pub errors: Vec<Problem>,
    /// With these it starts: what it says then, and what it keeps to itself although it is hardly meant.
    pub warnings: Vec<Problem>,
    /// What is understood and has no effect here, or is worth to know.
    pub remarks: Vec<Remark>,
}

impl Findings {
    pub(super) fn error(
        &mut self,
        place: &Place,
        message: impl Into<String>,
        label: impl Into<String>,
    ) {
        self.errors.push(Problem::new(place, message, label));
    }

    pub(super) fn warn(
        &mut self,
        place: &Place,
        message: impl Into<String>,
        label: impl Into<String>,
    ) {
        self.warnings.push(Problem::new(place, message, label));
    }

    pub(super) fn remark(&mut self, place: &Place, message: impl Into<String>) {
        self.remarks.push(Remark { place: place.clone(), message: message.into() });
    }

    /// Errors and warnings.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.errors.iter().chain(&self.warnings)
    }
}
