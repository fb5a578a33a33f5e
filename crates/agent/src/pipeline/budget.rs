//! The memory budget: what holds bytes holds a [`Hold`], and gives it back by being dropped.
//!
//! The sum of all holds is the payload memory of the agent, and it never exceeds the budget. There are two marks: new
//! data is read up to the soft one, what is in already may grow (attributes that are added, blocks for joining) up to the
//! limit.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use super::fair::{self, Charge, Charges, Kept};
use crate::net::body::Reserve;

pub use crate::net::body::Full;

/// A number of bytes that can be held at one time. Clones are the same budget.
#[derive(Clone)]
pub struct Budget(Arc<Account>);

struct Account {
    limit: usize,
    soft: usize,
    used: AtomicUsize,
    /// What other things than payload take from it now.
    beside: AtomicUsize,
    /// How many guards keep it narrow for new data.
    narrow: AtomicUsize,
    /// How often there was no room.
    refusals: AtomicU64,
    /// The budgets of the configurations before this one, which may still hold something: memory is one.
    before: Vec<WeakBudget>,
}

/// A budget that goes when nothing else keeps it.
#[derive(Clone)]
pub struct WeakBudget(Weak<Account>);

/// Permission to hold bytes in memory; dropping it gives them back.
pub struct Hold {
    budget: Budget,
    /// Bytes of this hold alone.
    own: usize,
    /// Bytes that other holds stand for, too, because they share the same memory.
    shared: Vec<Arc<Permit>>,
    /// Whose data it is.
    charges: Charges,
}

/// Bytes held by several [`Hold`]s at once; given back with the last of them.
struct Permit {
    budget: Budget,
    bytes: usize,
}

impl Budget {
    /// A budget of `bytes`, all of it open to new data.
    #[must_use]
    pub fn new(bytes: usize) -> Budget {
        Budget::with_soft(bytes, bytes)
    }

    /// A budget of `limit` bytes that lets new data in up to `soft`.
    #[must_use]
    pub fn with_soft(limit: usize, soft: usize) -> Budget {
        Budget::open(limit, soft, Vec::new())
    }

    /// The same, for a configuration that takes over: what the budget before still holds counts.
    #[must_use]
    pub fn succeeding(before: &Budget, limit: usize, soft: usize) -> Budget {
        // Each by itself: the one in between may hold nothing and go before those that were there earlier.
        let earlier = before.0.before.iter().filter(|earlier| earlier.upgrade().is_some()).cloned();
        Budget::open(limit, soft, earlier.chain([before.downgrade()]).collect())
    }

    fn open(limit: usize, soft: usize, before: Vec<WeakBudget>) -> Budget {
        let [used, beside, narrow] = [const { AtomicUsize::new(0) }; 3];
        let (soft, refusals) = (soft.min(limit), AtomicU64::new(0));
        Budget(Arc::new(Account { limit, soft, used, beside, narrow, refusals, before }))
    }

    /// Room for new data of this size. Zero bytes ask whether anything may come in at all.
    ///
    /// # Errors
    /// The soft mark would be passed, or already is.
    pub fn try_hold(&self, bytes: usize) -> Result<Hold, Full> {
        self.take(bytes, self.0.soft, self.soft())?;
        let mut hold = self.nothing();
        hold.own = bytes;
        Ok(hold)
    }

    /// Whether little is left of what is open to new data: less than half of it, when `more` bytes are in. From then on it is
    /// for senders that are below their share.
    #[must_use]
    pub fn is_scarce(&self, more: usize) -> bool {
        self.usage().saturating_add(self.held_before()).saturating_add(more) > self.soft() / 2
    }

    /// Whether less than an eighth is left of what is open to new data, when `more` bytes are in. That is for newcomers.
    #[must_use]
    pub fn is_nearly_full(&self, more: usize) -> bool {
        let soft = self.soft();
        self.usage().saturating_add(self.held_before()).saturating_add(more) > soft - soft / 8
    }

    fn nothing(&self) -> Hold {
        Hold { budget: self.clone(), own: 0, shared: Vec::new(), charges: Charges::default() }
    }

    /// The same budget, without keeping it.
    #[must_use]
    pub fn downgrade(&self) -> WeakBudget {
        WeakBudget(Arc::downgrade(&self.0))
    }

    /// Bytes held now.
    #[must_use]
    pub fn usage(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    /// The most that can be held now.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.now(self.0.limit)
    }

    /// The mark up to which new data is let in.
    #[must_use]
    pub fn soft(&self) -> usize {
        if self.0.narrow.load(Ordering::Relaxed) > 0 { self.0.soft / 4 } else { self.now(self.0.soft) }
    }

    /// Lets new data have that quarter alone which is always left for it, until the same guard widens it again.
    pub fn narrow(&self) {
        self.0.narrow.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends what [`Budget::narrow`] began.
    pub fn widen(&self) {
        self.0.narrow.fetch_sub(1, Ordering::Relaxed);
    }

    /// So many bytes are taken by other things than payload; a quarter is always left for it.
    pub fn set_beside(&self, bytes: usize) {
        self.0.beside.store(bytes, Ordering::Relaxed);
    }

    /// What is left of a mark beside other things.
    fn now(&self, mark: usize) -> usize {
        mark - self.0.beside.load(Ordering::Relaxed).min(mark - mark / 4)
    }

    /// How often there was no room so far.
    #[must_use]
    pub fn refusals(&self) -> u64 {
        self.0.refusals.load(Ordering::Relaxed)
    }

    /// Takes bytes up to what is left of a mark now. Whoever is refused is told of the mark as it is: what does not fit now may
    /// fit later.
    fn take(&self, bytes: usize, mark: usize, now: usize) -> Result<(), Full> {
        let before = self.held_before();
        let fits = |used: usize| used.checked_add(bytes).filter(|sum| sum.saturating_add(before) <= now);
        match self.0.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits) {
            Ok(_) => Ok(()),
            Err(used) => {
                self.0.refusals.fetch_add(1, Ordering::Relaxed);
                Err(Full { wanted: bytes, used: used + before, limit: mark, of_sender: false })
            }
        }
    }

    /// Bytes that the budgets before this one still hold. They hardly grow any more.
    fn held_before(&self) -> usize {
        self.0.before.iter().filter_map(WeakBudget::upgrade).map(|before| before.usage()).sum()
    }

    fn give_back(&self, bytes: usize) {
        self.0.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn is(&self, other: &Budget) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl WeakBudget {
    /// The budget, if it is still there.
    #[must_use]
    pub fn upgrade(&self) -> Option<Budget> {
        self.0.upgrade().map(Budget)
    }
}

impl Hold {
    /// Bytes that this hold stands for, alone or with others.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.own + self.shared.iter().map(|permit| permit.bytes).sum::<usize>()
    }

    /// The budget that the bytes come from.
    #[must_use]
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Holds `bytes` more.
    ///
    /// # Errors
    /// The limit of the budget would be passed; the hold is as before.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Full> {
        self.budget.take(bytes, self.budget.0.limit, self.budget.limit())?;
        self.own += bytes;
        self.charges.grow(bytes);
        Ok(())
    }

    /// A hold on other memory of the same budget, for data that is already in.
    ///
    /// # Errors
    /// The limit of the budget would be passed.
    pub fn another(&self, bytes: usize) -> Result<Hold, Full> {
        let mut other = self.budget.nothing();
        other.grow(bytes)?;
        Ok(other)
    }

    /// Holds `bytes` at least.
    ///
    /// # Errors
    /// The limit of the budget would be passed; the hold is as before.
    pub fn cover(&mut self, bytes: usize) -> Result<(), Full> {
        match bytes.saturating_sub(self.bytes()) {
            0 => Ok(()),
            missing => self.grow(missing),
        }
    }

    /// Holds `bytes` at most, for memory that was really freed. What is shared with others stays.
    pub fn shrink_to(&mut self, bytes: usize) {
        let surplus = self.bytes().saturating_sub(bytes).min(self.own);
        self.own -= surplus;
        self.budget.give_back(surplus);
        self.charges.shrink(surplus);
    }

    /// A second hold on the same memory. It is given back when both are dropped, however the bytes are divided between
    /// them: two slices of one buffer each keep all of it.
    #[must_use]
    pub fn share(&mut self) -> Hold {
        if self.own > 0 {
            let bytes = std::mem::take(&mut self.own);
            self.shared.push(Arc::new(Permit { budget: self.budget.clone(), bytes }));
        }
        let charges = self.charges.share();
        Hold { budget: self.budget.clone(), own: 0, shared: self.shared.clone(), charges }
    }

    /// Says whose data this is. It counts as theirs until the bytes are given back, whatever they are copied into.
    pub fn charge(&mut self, charge: Charge) {
        self.charges.push(charge);
    }

    /// Takes over whose data `other` is, whose bytes were copied here.
    pub fn take_charges(&mut self, other: &mut Hold) {
        self.charges.merge(std::mem::take(&mut other.charges));
    }

    /// How many charges lie on it alone.
    #[cfg(test)]
    pub(super) fn charged(&self) -> usize {
        self.charges.count()
    }

    /// Who sent this request; none for what was joined from several.
    #[must_use]
    pub fn sender(&self) -> Option<&fair::Party> {
        self.charges.only().map(|charge| charge.party().as_ref())
    }

    /// Whether the room that there is, is kept from the sender of this request, if `more` bytes come in.
    #[must_use]
    pub fn kept_from(&self, more: usize, crowded: Option<wire::Signal>) -> Option<Kept> {
        let charge = self.charges.only()?;
        fair::kept_from(charge.party(), charge.weight(), &self.budget, more, crowded)
    }

    /// Takes over what `other` holds.
    pub fn merge(&mut self, mut other: Hold) {
        let own = std::mem::take(&mut other.own);
        if other.budget.is(&self.budget) {
            self.own += own;
        } else if own > 0 {
            self.shared.push(Arc::new(Permit { budget: other.budget.clone(), bytes: own }));
        }
        self.shared.append(&mut other.shared);
        self.take_charges(&mut other);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.budget.give_back(self.own);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Budget({} of {})", self.usage(), self.limit())
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hold({})", self.bytes())
    }
}

/// Bodies are read under the permit that goes on with them. Until it is read, a body is new data: the soft mark counts.
impl Reserve for Hold {
    fn grow(&mut self, bytes: usize) -> Result<(), Full> {
        // What is asked for is the body as a whole: one that no empty budget could hold is known by that.
        let whole = |full| Full { wanted: self.own.saturating_add(bytes), ..full };
        if let Some(kept) = self.kept_from(bytes, None) {
            return Err(whole(kept.full(&self.budget)));
        }
        self.budget.take(bytes, self.budget.0.soft, self.budget.soft()).map_err(whole)?;
        self.own += bytes;
        self.charges.grow(bytes);
        Ok(())
    }

    fn shrink_to(&mut self, bytes: usize) {
        self.shrink_to(bytes);
    }
}

#[cfg(test)]
mod tests;
