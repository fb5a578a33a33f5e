//! Where series live: in blocks, so that growing never copies what is there, with a number for each place that says
//! whether what was found is still what is meant.

use std::cmp::Reverse;

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
    /// Those that were given back are empty.
    blocks: Vec<Box<[Slot]>>,
    /// The lowest at the end, so that the highest blocks become empty.
    free: Vec<u32>,
    live: usize,
    /// Above those of all places in blocks that were given back: none of them is ever taken for a new one.
    first_generation: u32,
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

    /// Bytes of places without a series.
    pub(super) fn idle_bytes(&self) -> usize {
        self.free.len() * SLOT_SIZE + self.free.capacity() * size_of::<u32>()
    }

    /// One more than the highest index that is used.
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
            self.add_block();
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

    fn add_block(&mut self) {
        let at = self.blocks.iter().position(|block| block.is_empty()).unwrap_or(self.blocks.len());
        let slot = || Slot { generation: self.first_generation, series: None };
        let block = (0..BLOCK).map(|_| slot()).collect();
        match self.blocks.get_mut(at) {
            Some(given_back) => *given_back = block,
            None => self.blocks.push(block),
        }
        let first = (at * BLOCK) as u32;
        self.free.extend((first..first + BLOCK as u32).rev());
    }

    /// Gives the memory of blocks back that have no series.
    pub(super) fn give_back(&mut self) {
        let first = &mut self.first_generation;
        for block in self.blocks.iter_mut().filter(|block| block.iter().all(|slot| slot.series.is_none())) {
            *first = block.iter().map(|slot| slot.generation).fold(*first, u32::max);
            *block = Box::default();
        }
        while self.blocks.pop_if(|last| last.is_empty()).is_some() {}
        let blocks = &self.blocks;
        self.free.retain(|index| blocks.get(*index as usize / BLOCK).is_some_and(|block| !block.is_empty()));
        self.free.sort_unstable_by_key(|index| Reverse(*index));
        self.free.shrink_to(2 * self.free.len());
    }

    fn slot(&self, index: u32) -> Option<&Slot> {
        self.blocks.get(index as usize / BLOCK)?.get(index as usize % BLOCK)
    }

    fn slot_mut(&mut self, index: u32) -> Option<&mut Slot> {
        self.blocks.get_mut(index as usize / BLOCK)?.get_mut(index as usize % BLOCK)
    }
}
