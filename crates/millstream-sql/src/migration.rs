/// What making or changing our tables did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// The version found; 0 where there were no tables.
    pub from: u32,
    /// The version now.
    pub to: u32,
}
