//! What the process asks of its datapath, beside what control asks of any.

use std::fmt::Debug;

use mediaha_media::Datapath;
use mediaha_time::Time;

use super::TallySnapshot;
use crate::estate::Share;

/// The datapath that was chosen.
pub type Relay = Box<dyn LocalDatapath>;

/// A datapath with workers in this process, and parts that may outlive it.
pub trait LocalDatapath: Datapath + Debug + Send {
    /// What it is called.
    fn name(&self) -> &'static str;

    /// Whether calls take file descriptors.
    fn takes_descriptors(&self) -> bool;

    /// How many flows the kernel forwards now, if it does at all.
    fn flows(&self) -> Option<usize> {
        None
    }

    /// What each worker has counted.
    fn tallies(&self) -> Vec<TallySnapshot>;

    /// Measures how busy the workers were since the last call, which [`Datapath::load`] tells until the next one, and sees
    /// whether they work at all. To be called every half a second or so.
    fn sample(&mut self, now: Time);

    /// From now on workers are told of changes when [`Self::ring`] is called, once for many changes, or when a packet wakes them.
    fn gather(&mut self);

    /// Whether a worker may sleep over a change.
    fn is_unrung(&self) -> bool;

    /// Has the workers carry out what they were told.
    fn ring(&mut self);

    /// Does a little of what makes opening ports faster, for an idle moment; false when there is nothing left to do.
    fn look_ahead(&mut self) -> bool {
        false
    }

    /// Whether ports stay ours when they are closed, where that depends on us.
    fn keep_ports(&mut self, _keeps: bool) {}

    /// From now on, before the first stream, its parts outlive it.
    fn share(&mut self, share: Share);

    /// Lets go of what a former life has left and no call has claimed.
    fn let_go_of_the_rest(&mut self);

    /// Has what it forwards without the process go on when it is dropped, for a successor to take over.
    fn leave_behind(&mut self) {}
}
