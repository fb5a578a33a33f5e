//! Where series live: in blocks, so that growing never copies what is there, with a number for each place that says
//! whether what was found is still what is meant.

use super::series::Series;

/// Where a series is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) index: u32,
    generation: u32,
}

impl Place {
    /// No place: what is looked for is refused.
    pub(super) fn refused() -> Place {
        Place { index: u32::MAX, generation: 0 }
    }

    pub(super) fn is_refused(self) -> bool {
        self.index == u32::MAX
    }
}

/// All series.
#[derive(Debug, Default)]
pub(super) struct Slab {
    blocks: Vec<Box<[Slot]>>,
    free: Vec<u32>,
    live: usize,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    series: Option<Series>,
}

const BLOCK: usize = 1024;
/// Bytes of a series in here.
pub(super) const SLOT_SIZE: usize = size_of::<Slot>();

impl Slab {
    pub(super) fn len(&self) -> usize {
        self.live
    }

    /// One more than the highest index that was ever used.
    pub(super) fn end(&self) -> u32 {
        (self.blocks.len() * BLOCK) as u32
    }

    pub(super) fn get(&self, index: u32) -> Option<&Series> {
        self.slot(index)?.series.as_ref()
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut Series> {
        self.slot_mut(index)?.series.as_mut()
    }

    /// Whether the series that was put there is still there.
    pub(super) fn holds(&self, place: Place) -> bool {
        self.slot(place.index).is_some_and(|slot| slot.generation == place.generation && slot.series.is_some())
    }

    pub(super) fn insert(&mut self, series: Series) -> Place {
        if self.free.is_empty() {
            let end = self.end();
            self.blocks.push((0..BLOCK).map(|_| Slot::default()).collect());
            self.free.extend((end..self.end()).rev());
        }
        let index = self.free.pop().unwrap_or_default();
        let mut generation = 0;
        if let Some(slot) = self.slot_mut(index) {
            slot.series = Some(series);
            generation = slot.generation;
        }
        self.live += 1;
        Place { index, generation }
    }

    pub(super) fn remove(&mut self, index: u32) -> Option<Series> {
        let slot = self.slot_mut(index)?;
        let series = slot.series.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(index);
        self.live -= 1;
        Some(series)
    }

    fn slot(&self, index: u32) -> Option<&Slot> {
        self.blocks.get(index as usize / BLOCK)?.get(index as usize % BLOCK)
    }

    fn slot_mut(&mut self, index: u32) -> Option<&mut Slot> {
        self.blocks.get_mut(index as usize / BLOCK)?.get_mut(index as usize % BLOCK)
    }
}
