//! The fast implementation against the reference.

use std::vec::Vec;

use proptest::prelude::*;

use crate::testing::{Mix, Op, Pair, sequence};
use crate::{Algorithm, Service};

/// With `restores` the service is saved and restored now and then: its indexes are built anew, which
/// would hide that they had gone stale.
fn replay_with(ops: &[Op], restores: bool) -> Result<(), TestCaseError> {
    let mut pair = Pair::new();
    for (i, op) in ops.iter().enumerate() {
        pair.apply(op).map_err(|e| TestCaseError::fail(std::format!("operation {i}: {e}")))?;
        if i % 16 == 0 {
            pair.compare_tables().map_err(TestCaseError::fail)?;
        }
        if restores && i % 16 == 0 {
            let state = pair.fast.save();
            pair.fast = Service::restore(&state)
                .map_err(|e| TestCaseError::fail(std::format!("operation {i}: {e}")))?;
            prop_assert_eq!(pair.fast.save(), state);
        }
    }
    pair.compare_tables().map_err(TestCaseError::fail)
}

fn replay(ops: &[Op]) -> Result<(), TestCaseError> {
    replay_with(ops, false)
}

/// All rules but `wrr`, whose reference walks as many sweeps as the largest weight says.
fn but_wrr() -> Vec<Algorithm> {
    Algorithm::ALL.into_iter().filter(|&a| a != Algorithm::Wrr).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    #[test]
    fn every_rule_chooses_and_counts_like_its_reference(ops in sequence(Mix::default())) {
        replay(&ops)?;
    }

    #[test]
    fn a_few_servers_are_chosen_like_by_the_reference(
        ops in sequence(Mix { start: 0..=6, length: 0..=400, ..Mix::default() })
    ) {
        replay(&ops)?;
    }

    #[test]
    fn large_weights_are_compared_in_the_kernels_integers(
        ops in sequence(Mix { algorithms: but_wrr(), max_weight: i32::MAX as u32, ..Mix::default() })
    ) {
        replay(&ops)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn a_restored_service_goes_on_like_the_one_that_was_saved(ops in sequence(Mix::default())) {
        replay_with(&ops, true)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5))]

    #[test]
    fn thousands_of_operations_leave_both_alike(
        ops in sequence(Mix { length: 2000..=3000, ..Mix::default() })
    ) {
        replay(&ops)?;
    }
}

/// One test per rule, so that a failure says which.
macro_rules! alone {
    ($($name:ident: $algorithm:ident,)*) => {$(
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(25))]

            #[test]
            fn $name(
                ops in sequence(Mix { algorithms: std::vec![Algorithm::$algorithm], ..Mix::default() })
            ) {
                replay(&ops)?;
            }
        }
    )*};
}

alone! {
    rr_alone: Rr,
    wrr_alone: Wrr,
    lc_alone: Lc,
    wlc_alone: Wlc,
    sed_alone: Sed,
    nq_alone: Nq,
    fo_alone: Fo,
    ovf_alone: Ovf,
    dh_alone: Dh,
    sh_alone: Sh,
    mh_alone: Mh,
    lblc_alone: Lblc,
    lblcr_alone: Lblcr,
    twos_alone: Twos,
}
