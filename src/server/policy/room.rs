//! Room in tables that peers fill.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};

/// Makes room in a table that has `most` entries: takes out what is over, and where that is too little the quarter that ranks lowest.
pub(in crate::server::policy) fn make<K: Eq + Hash, V, R: Ord, S: BuildHasher>(
    table: &mut HashMap<K, V, S>,
    most: usize,
    is_over: impl Fn(&V) -> bool,
    rank: impl Fn(&V) -> R,
) {
    if table.len() < most {
        return;
    }
    table.retain(|_, value| !is_over(value));
    if table.len() < most {
        return;
    }
    let mut ranks: Vec<R> = table.values().map(&rank).collect();
    ranks.sort_unstable();
    let Some(end) = ranks.get(most / 4) else { return };
    table.retain(|_, value| rank(value) > *end);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_goes_first_and_then_what_ranks_lowest() {
        let mut table: HashMap<u32, u32> = (0..8).map(|number| (number, number)).collect();
        make(&mut table, 9, |_| true, |rank| *rank);
        assert_eq!(table.len(), 8, "there is room");
        make(&mut table, 8, |number| *number == 7, |rank| *rank);
        assert!(table.len() == 7 && !table.contains_key(&7), "{table:?}");
        make(&mut table, 7, |_| false, |rank| std::cmp::Reverse(*rank));
        let mut left: Vec<u32> = table.into_keys().collect();
        left.sort_unstable();
        assert_eq!(left, [0, 1, 2, 3, 4]);
    }
}
