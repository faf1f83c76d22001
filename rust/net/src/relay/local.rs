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

    /// Those who forward in this process.
    fn workers(&self) -> &dyn Workers;

    /// The same, to be told something.
    fn workers_mut(&mut self) -> &mut dyn Workers;

    /// Looks after the workers, and whatever else there is. To be called every half a second or so.
    fn sample(&mut self, now: Time) {
        self.workers_mut().sample(now);
    }

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

/// The threads of a datapath, as the process sees them.
pub trait Workers {
    /// What each has counted.
    fn tallies(&self) -> Vec<TallySnapshot>;

    /// Measures how busy they were since the last call, which [`Datapath::load`] tells until the next one, and sees whether they
    /// work at all.
    fn sample(&mut self, now: Time);

    /// From now on one that is told something and sleeps is woken by [`Self::ring`] only: waking it for each command costs
    /// more than the command. Whoever asks for this rings soon after.
    fn gather(&mut self);

    /// Whether somebody was told something and may sleep over it.
    fn is_unrung(&self) -> bool;

    /// Wakes those who were told something.
    fn ring(&mut self);
}
