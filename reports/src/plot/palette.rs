//! Colours and dashes of series.

/// Seven colours people with any colour vision tell apart, visible on white and on near black.
/// After Okabe and Ito, "Color Universal Design" (2008), without yellow (lost on white) and with
/// grey for black (lost on a dark page).
pub(super) const COLOURS: [(u8, u8, u8); 7] = [
    (0x00, 0x72, 0xB2),
    (0xD5, 0x5E, 0x00),
    (0x00, 0x9E, 0x73),
    (0xCC, 0x79, 0xA7),
    (0xE6, 0x9F, 0x00),
    (0x56, 0xB4, 0xE9),
    (0x80, 0x80, 0x80),
];

/// The colour of what is wrong: crimson, which no series has.
pub(super) const ALARM: (u8, u8, u8) = (0xDC, 0x14, 0x3C);

/// Dash patterns, in pixels drawn and left out; one for each time round the colours.
const DASHES: [&[f64]; 4] = [&[], &[7.0, 4.0], &[2.0, 3.0], &[9.0, 3.0, 2.0, 3.0]];

/// What to draw with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Paint {
    /// The colour of text on the page, with an opacity from 0 to 1.
    Ink(f64),
    /// The colour of a series, with an opacity from 0 to 1.
    Series(usize, f64),
    /// The colour of what is wrong, with an opacity from 0 to 1.
    Alarm(f64),
}

/// The dash pattern of a series; empty for a solid line.
pub(super) fn dash_of(series: usize) -> &'static [f64] {
    DASHES.get(series / COLOURS.len() % DASHES.len()).copied().unwrap_or(&[])
}

/// The dash pattern of a curve that may lie on another one: each differs from the one before, so
/// that where curves agree the lower one shows in the gaps of the upper one.
pub(super) fn overlay_dash_of(series: usize) -> &'static [f64] {
    const OVERLAY: [&[f64]; 6] =
        [&[], &[10.0, 6.0], &[3.0, 5.0], &[7.0, 5.0], &[14.0, 8.0], &[5.0, 7.0]];
    OVERLAY.get(series % OVERLAY.len()).copied().unwrap_or(&[])
}

/// The fill of a series: lighter each time round the colours, as areas cannot be dashed.
pub(super) fn fill_of(series: usize) -> Paint {
    let opacity = match series / COLOURS.len() % 3 {
        0 => 1.0,
        1 => 0.6,
        _ => 0.35,
    };
    Paint::Series(series, opacity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_eight_lines_all_look_different() {
        let look = |series: usize| (series % COLOURS.len(), dash_of(series));
        for a in 0..28 {
            assert!((0..a).all(|b| look(a) != look(b)), "series {a}");
        }
        assert!(dash_of(6).is_empty() && !dash_of(7).is_empty());
        assert!((0..28).all(|s| overlay_dash_of(s) != overlay_dash_of(s + 1)));
        assert_eq!(fill_of(0), Paint::Series(0, 1.0));
        assert_ne!(fill_of(7), Paint::Series(7, 1.0));
    }
}
