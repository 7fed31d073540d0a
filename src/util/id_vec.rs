//! Lists that are indexed by a type of their own instead of a bare number.
//!
//! An index into one list means nothing in another. With one type per kind of index, declared by
//! [`id_type!`], the compiler tells a stage from a site, and [`IdVec`] takes only its own kind. The
//! types cost nothing at run time: each is the number that it holds.

use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

/// An index into lists of one kind; [`id_type!`] declares the types that implement it.
pub trait Id: Copy + Ord + Hash + fmt::Debug {
    /// Returns the id of the entry at a position. Panics if the type is too small for the position.
    fn from_index(index: usize) -> Self;

    /// Returns the position of the entry that the id stands for.
    fn index(self) -> usize;

    /// Returns the ids of the first `count` entries, in order.
    #[inline]
    fn below(count: usize) -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator + Clone {
        (0..count).map(Self::from_index)
    }
}

/// Declares types of ids: `id_type! { /** Doc. */ pub StageId: usize; }`. Each holds a number of
/// the given type and is shown as that number.
macro_rules! id_type {
    ($($(#[$attribute:meta])* $visibility:vis $name:ident: $number:ty;)*) => {$(
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $visibility struct $name($number);

        impl $name {
            /// Returns the id that holds this number.
            #[allow(dead_code, reason = "most lists hand out their ids by themselves")]
            $visibility const fn new(number: $number) -> Self {
                Self(number)
            }
        }

        impl $crate::util::id_vec::Id for $name {
            #[inline]
            fn from_index(index: usize) -> Self {
                match <$number>::try_from(index) {
                    Ok(number) => Self(number),
                    Err(_) => panic!(
                        "a list has an entry {index}, which is too many for {}",
                        stringify!($name)
                    ),
                }
            }

            #[inline]
            fn index(self) -> usize {
                usize::from(self.0)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}
pub(crate) use id_type;

/// A list with one entry for every id of a kind, in the order of the ids.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdVec<I, T> {
    entries: Vec<T>,
    kind: PhantomData<I>,
}

impl<I: Id, T> IdVec<I, T> {
    /// Returns a list without entries.
    pub const fn new() -> Self {
        Self {
            entries: Vec::new(),
            kind: PhantomData,
        }
    }

    /// Returns a list without entries that has room for `capacity` of them.
    pub fn with_capacity(capacity: usize) -> Self {
        Vec::with_capacity(capacity).into()
    }

    /// Returns the number of entries.
    #[inline]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there is no entry.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the ids of all entries, in order. The list is not borrowed while they are used.
    #[inline]
    pub fn ids(
        &self,
    ) -> impl DoubleEndedIterator<Item = I> + ExactSizeIterator + Clone + use<I, T> {
        I::below(self.entries.len())
    }

    /// Adds an entry at the end and returns its id.
    pub fn push(&mut self, entry: T) -> I {
        let id = I::from_index(self.entries.len());
        self.entries.push(entry);
        id
    }

    /// Returns the entry of an id; `None` if there is none.
    #[inline]
    pub fn get(&self, id: I) -> Option<&T> {
        self.entries.get(id.index())
    }

    /// Returns the entries in order.
    #[inline]
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.entries.iter()
    }

    /// Returns the entries in order, to be changed.
    #[inline]
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, T> {
        self.entries.iter_mut()
    }

    /// Returns every entry with its id, in order.
    #[inline]
    pub fn iter_enumerated(
        &self,
    ) -> impl DoubleEndedIterator<Item = (I, &T)> + ExactSizeIterator + Clone {
        self.ids().zip(&self.entries)
    }

    /// Returns every entry with its id, in order, to be changed.
    #[inline]
    pub fn iter_enumerated_mut(
        &mut self,
    ) -> impl DoubleEndedIterator<Item = (I, &mut T)> + ExactSizeIterator {
        self.ids().zip(&mut self.entries)
    }

    /// Returns every entry with its id, in order, and consumes the list.
    #[inline]
    pub fn into_iter_enumerated(
        self,
    ) -> impl DoubleEndedIterator<Item = (I, T)> + ExactSizeIterator {
        self.ids().zip(self.entries)
    }

    /// Returns a list of the same length, with what `make` makes of every entry.
    pub fn map<U>(&self, make: impl FnMut(&T) -> U) -> IdVec<I, U> {
        self.entries.iter().map(make).collect()
    }

    /// Returns the entries as a slice, for kernels that work on plain numbers.
    #[inline]
    pub fn as_slice(&self) -> &[T] {
        &self.entries
    }

    /// Makes the list that long; new entries are copies of `entry`.
    pub fn resize(&mut self, length: usize, entry: T)
    where
        T: Clone,
    {
        self.entries.resize(length, entry);
    }

    /// Sets every entry to a value.
    pub fn fill(&mut self, value: T)
    where
        T: Clone,
    {
        self.entries.fill(value);
    }

    /// Drops the entries that `keep` refuses; those that are left get the ids from the first on.
    pub fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        self.entries.retain(keep);
    }

    /// Drops the entries that `keep` refuses, as [`IdVec::retain`] does; `keep` is told the id that
    /// each entry had before.
    pub fn retain_by_id(&mut self, mut keep: impl FnMut(I, &T) -> bool) {
        let mut ids = self.ids();
        self.entries
            .retain(|entry| ids.next().is_none_or(|id| keep(id, entry)));
    }

    /// Searches a list that rises by a key, as [`slice::binary_search_by_key`] does: returns the id
    /// of an entry with the key, or else the id at which one could be put.
    pub fn binary_search_by_key<K: Ord>(
        &self,
        key: &K,
        key_of: impl FnMut(&T) -> K,
    ) -> Result<I, I> {
        self.entries
            .binary_search_by_key(key, key_of)
            .map(I::from_index)
            .map_err(I::from_index)
    }

    /// Searches a list that rises, as [`slice::binary_search`] does: returns the id of an entry
    /// that equals the value, or else the id at which it could be put.
    pub fn binary_search(&self, value: &T) -> Result<I, I>
    where
        T: Ord,
    {
        self.entries
            .binary_search(value)
            .map(I::from_index)
            .map_err(I::from_index)
    }
}

impl<I: Id, T: Clone> IdVec<I, T> {
    /// Returns a list of `length` copies of a value.
    pub fn filled(value: T, length: usize) -> Self {
        vec![value; length].into()
    }
}

impl<I: Id, T> Default for IdVec<I, T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<I, T: fmt::Debug> fmt::Debug for IdVec<I, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entries.fmt(f)
    }
}

impl<I: Id, T> Index<I> for IdVec<I, T> {
    type Output = T;

    #[inline]
    fn index(&self, id: I) -> &T {
        &self.entries[id.index()]
    }
}

impl<I: Id, T> IndexMut<I> for IdVec<I, T> {
    #[inline]
    fn index_mut(&mut self, id: I) -> &mut T {
        &mut self.entries[id.index()]
    }
}

impl<I, T> From<Vec<T>> for IdVec<I, T> {
    fn from(entries: Vec<T>) -> Self {
        Self {
            entries,
            kind: PhantomData,
        }
    }
}

impl<I, T> FromIterator<T> for IdVec<I, T> {
    fn from_iter<E: IntoIterator<Item = T>>(entries: E) -> Self {
        Vec::from_iter(entries).into()
    }
}

impl<I, T> Extend<T> for IdVec<I, T> {
    fn extend<E: IntoIterator<Item = T>>(&mut self, entries: E) {
        self.entries.extend(entries);
    }
}

impl<I, T> IntoIterator for IdVec<I, T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<'a, I, T> IntoIterator for &'a IdVec<I, T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.iter()
    }
}

impl<'a, I, T> IntoIterator for &'a mut IdVec<I, T> {
    type Item = &'a mut T;
    type IntoIter = std::slice::IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    id_type! {
        /// An index that holds a wide number.
        Wide: usize;
        /// An index that holds a narrow number.
        Narrow: u8;
    }

    #[test]
    fn an_entry_is_found_by_the_id_that_push_returned() {
        let mut names: IdVec<Wide, &str> = IdVec::new();
        let first = names.push("first");
        let second = names.push("second");
        names[first] = "changed";
        assert_eq!((names[first], names[second]), ("changed", "second"));
        assert_eq!(names.get(Wide::new(2)), None);
        assert_eq!(names.ids().collect::<Vec<_>>(), [first, second]);
        assert_eq!(names.ids().next_back(), Some(second));
    }

    #[test]
    fn ids_go_with_their_entries() {
        let lengths: IdVec<Narrow, usize> = IdVec::from(vec![3, 1, 2]);
        let doubled = lengths.map(|length| length * 2);
        let pairs: Vec<(Narrow, usize)> = doubled.into_iter_enumerated().collect();
        let id = Narrow::new;
        assert_eq!(pairs, [(id(0), 6), (id(1), 2), (id(2), 4)]);
        let longest = lengths.iter_enumerated().max_by_key(|(_, length)| **length);
        assert_eq!(longest, Some((id(0), &3)));
    }

    #[test]
    fn what_is_left_is_numbered_anew() {
        let mut numbers: IdVec<Narrow, i32> = (0..6).collect();
        numbers.retain(|number| number % 2 == 1);
        numbers.retain_by_id(|id, _| id > Narrow::new(0));
        assert_eq!(numbers.as_slice(), [3, 5]);
        assert_eq!(numbers.binary_search(&5), Ok(Narrow::new(1)));
        assert_eq!(
            numbers.binary_search_by_key(&2, |number| *number),
            Err(Narrow::new(0))
        );
        numbers.resize(4, 9);
        assert_eq!(numbers.as_slice(), [3, 5, 9, 9]);
    }

    #[test]
    fn an_id_is_as_small_as_its_number_and_is_shown_as_it() {
        assert_eq!(size_of::<Narrow>(), size_of::<u8>());
        assert_eq!(size_of::<IdVec<Wide, u8>>(), size_of::<Vec<u8>>());
        assert_eq!(Narrow::new(7).to_string(), "7");
        assert_eq!(Narrow::from_index(255).index(), 255);
    }

    #[test]
    #[should_panic(expected = "too many for Narrow")]
    fn a_list_that_is_too_long_for_its_ids_is_refused() {
        Narrow::from_index(256);
    }
}
