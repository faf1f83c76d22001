//! The streams of one worker, each in a place of its own that costs no hash to find.

use std::collections::HashMap;

use mediaha_media::StreamId;

/// Values by stream, and by place. As bounded as the ports that streams are installed on.
#[derive(Debug)]
pub(super) struct Slab<F> {
    entries: Vec<Option<F>>,
    vacant: Vec<usize>,
    places: HashMap<StreamId, usize>,
}

impl<F> Default for Slab<F> {
    fn default() -> Self {
        Self { entries: Vec::new(), vacant: Vec::new(), places: HashMap::new() }
    }
}

impl<F> Slab<F> {
    /// What is in a place.
    #[inline]
    pub(super) fn at(&mut self, place: usize) -> Option<&mut F> {
        self.entries.get_mut(place)?.as_mut()
    }

    /// Everything with its place, in their order.
    pub(super) fn all(&self) -> impl Iterator<Item = (usize, &F)> {
        self.entries.iter().enumerate().filter_map(|(place, entry)| Some((place, entry.as_ref()?)))
    }

    /// A stream's place, and what is there.
    pub(super) fn find(&mut self, stream: StreamId) -> Option<(usize, &mut F)> {
        let place = *self.places.get(&stream)?;
        Some((place, self.entries[place].as_mut()?))
    }

    /// Gives a stream that is not here a place.
    pub(super) fn insert(&mut self, stream: StreamId, entry: F) -> (usize, &mut F) {
        let place = self.vacant.pop().unwrap_or(self.entries.len());
        if place == self.entries.len() {
            self.entries.push(None);
        }
        self.places.insert(stream, place);
        (place, self.entries[place].insert(entry))
    }

    /// Takes a stream out. Its place may be another one's soon.
    pub(super) fn remove(&mut self, stream: StreamId) -> Option<(usize, F)> {
        let place = self.places.remove(&stream)?;
        let entry = self.entries[place].take()?;
        self.vacant.push(place);
        Some((place, entry))
    }
}
