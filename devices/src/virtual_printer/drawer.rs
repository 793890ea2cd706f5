//! A cash drawer on the printer's connector, with a switch that tells a level.

/// What the drawer's switch tells. Which level means open depends on the drawer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sensor {
    /// There is no switch: the level is low and stays so.
    #[default]
    None,
    /// High while the drawer is closed.
    HighClosed,
    /// High while it is open.
    HighOpen,
}

/// A drawer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Drawer {
    pub(super) sensor: Sensor,
    pub(super) open: bool,
}

impl Drawer {
    pub(super) fn level(self) -> bool {
        match self.sensor {
            Sensor::None => false,
            Sensor::HighClosed => !self.open,
            Sensor::HighOpen => self.open,
        }
    }
}
