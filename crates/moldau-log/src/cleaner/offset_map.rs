//! The last offset of each key, in memory of a fixed size.
//!
//! Keys are not kept, only 128 bits of SipHash under a key drawn at random: nobody can make two keys that are taken for
//! one. An entry has 24 bytes, as in Kafka, so the same memory holds as many keys. The table is open-addressed and
//! comes zeroed from the system, so a map that stays nearly empty costs nearly nothing.

use crate::types::Offset;
use siphasher::sip128::{Hasher128, SipHasher24};
use std::hash::Hasher;

const ENTRY_BYTES: usize = size_of::<Entry>();

/// Two halves of the hash, and the offset plus one: all zeroes is an empty place.
type Entry = [u64; 3];

#[derive(Debug)]
pub(super) struct OffsetMap {
    entries: Vec<Entry>,
    used: usize,
    limit: usize,
    hasher: SipHasher24,
    /// Everything up to here is in the map.
    latest: Option<Offset>,
}

impl OffsetMap {
    /// A map for up to `keys` keys, or as many as `memory_bytes` hold at this load factor.
    pub fn new(keys: u64, memory_bytes: usize, load_factor: f64) -> OffsetMap {
        let load_factor = load_factor.clamp(0.01, 0.99);
        let wanted = (keys as f64 / load_factor).ceil() as usize + 1;
        let places = wanted.min(memory_bytes / ENTRY_BYTES).max(2);
        OffsetMap {
            entries: vec![[0; 3]; places],
            used: 0,
            // One place stays empty: there every search for an unknown key ends.
            limit: ((places as f64 * load_factor) as usize).clamp(1, places - 1),
            hasher: SipHasher24::new_with_key(uuid::Uuid::new_v4().as_bytes()),
            latest: None,
        }
    }

    fn place(&self, key: &[u8]) -> (usize, [u64; 2]) {
        let mut hasher = self.hasher;
        hasher.write(key);
        let hash = hasher.finish128();
        let mut place = ((u128::from(hash.h1) * self.entries.len() as u128) >> 64) as usize;
        loop {
            let [low, high, offset] = self.entries[place];
            if offset == 0 || [low, high] == [hash.h1, hash.h2] {
                return (place, [hash.h1, hash.h2]);
            }
            place = if place + 1 == self.entries.len() { 0 } else { place + 1 };
        }
    }

    /// Notes that `key` is at `offset`; false when the map is full and the key is not in it.
    pub fn put(&mut self, key: &[u8], offset: Offset) -> bool {
        let (place, [low, high]) = self.place(key);
        if self.entries[place][2] == 0 {
            if self.used == self.limit {
                return false;
            }
            self.used += 1;
        }
        self.entries[place] = [low, high, offset.0 as u64 + 1];
        true
    }

    /// The last offset noted for `key`.
    pub fn get(&self, key: &[u8]) -> Option<Offset> {
        let (place, _) = self.place(key);
        self.entries[place][2]
            .checked_sub(1)
            .map(|offset| Offset(offset as i64))
    }

    /// Notes that every record up to `offset` has been put.
    pub fn reached(&mut self, offset: Offset) {
        self.latest = self.latest.max(Some(offset));
    }

    /// The last offset of which the map knows; `None` while there is none.
    pub fn latest(&self) -> Option<Offset> {
        self.latest
    }

    /// Keys in the map.
    pub fn len(&self) -> usize {
        self.used
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn it_knows_what_an_ordinary_map_knows(keys: Vec<u8>, memory in 48usize..4000) {
            let mut map = OffsetMap::new(keys.len() as u64, memory, 0.9);
            let mut model: HashMap<u8, Offset> = HashMap::new();
            for (offset, key) in keys.iter().enumerate() {
                let offset = Offset(offset as i64);
                let taken = map.put(&[*key], offset);
                prop_assert_eq!(taken, model.contains_key(key) || model.len() < map.limit);
                if taken {
                    model.insert(*key, offset);
                }
            }
            prop_assert_eq!(map.len(), model.len());
            for key in 0..=u8::MAX {
                prop_assert_eq!(map.get(&[key]), model.get(&key).copied());
            }
        }
    }

    #[test]
    fn it_keeps_to_its_memory_and_says_when_it_is_full() {
        let mut map = OffsetMap::new(1_000_000, 24 * 100, 0.9);
        let taken = (0..200i64)
            .filter(|number| map.put(&number.to_be_bytes(), Offset(*number)))
            .count();
        assert_eq!(taken, 90);
        assert!(map.put(&5i64.to_be_bytes(), Offset(500)), "a known key needs no room");
        assert_eq!(map.get(&5i64.to_be_bytes()), Some(Offset(500)));
        assert_eq!(map.get(&150i64.to_be_bytes()), None);
    }

    #[test]
    fn the_empty_key_is_a_key() {
        let mut map = OffsetMap::new(1, 1000, 0.9);
        assert!(map.put(b"", Offset(0)));
        assert_eq!(map.get(b""), Some(Offset(0)));
    }
}
