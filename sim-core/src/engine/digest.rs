//! stub
/// d
#[derive(Debug, Default, Clone, Copy)]
pub struct Digest(u64);
impl Digest {
    /// n
    pub fn new() -> Self {
        Self(0)
    }
    /// f
    #[inline]
    pub fn fold(&mut self, w: u64) {
        self.0 = (self.0.rotate_left(5) ^ w).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    /// v
    pub fn value(&self) -> u64 {
        self.0
    }
}
