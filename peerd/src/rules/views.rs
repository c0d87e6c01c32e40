//! Views in flight and held views: which one a command takes up, and when a checkout is over.
//!
//! What always holds: a view that an earlier command has left open is taken up before a fresh one begins, so that it is
//! counted once; one that a live command owns is left alone; a held view is counted down before it is shown, and not taken up
//! again.

use dos_protocol::ViewId;

/// A view that is open: begun, and not known to be finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OpenRow {
    /// Its ID.
    pub(crate) view: ViewId,
    /// How many views it spends.
    pub(crate) views: u32,
    /// Whether a live command owns it.
    pub(crate) owned: bool,
}

/// A checkout of which views are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeldRow {
    /// Its view ID.
    pub(crate) checkout: ViewId,
    /// Views that were not used yet.
    pub(crate) unused: u32,
    /// Whether they are being given back.
    pub(crate) in_return: bool,
}

/// What a command does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Take {
    /// It takes up this view.
    Resume(OpenRow),
    /// It begins a fresh one that spends this number of views.
    Begin(u32),
    /// Nothing is to be done.
    Nothing,
}

/// For `view`: the first view that was left open, or a fresh one.
pub(crate) fn take_view(open: &[OpenRow]) -> Take {
    left(open, None).map_or(Take::Begin(1), Take::Resume)
}

/// For `checkout`: a checkout of `views` that was left open, or a fresh one. Without a number: any that was left open.
pub(crate) fn take_checkout(open: &[OpenRow], views: Option<u32>) -> Take {
    match (left(open, views), views) {
        (Some(row), _) => Take::Resume(row),
        (None, Some(views)) => Take::Begin(views),
        (None, None) => Take::Nothing,
    }
}

fn left(open: &[OpenRow], views: Option<u32>) -> Option<OpenRow> {
    open.iter().find(|row| !row.owned && views.is_none_or(|views| views == row.views)).copied()
}

/// Of the checkouts of an image, the first one that has a view to show.
pub(crate) fn next_held(held: &[HeldRow]) -> Option<HeldRow> {
    held.iter().copied().find(|row| !row.in_return && row.unused > 0)
}

/// A checkout of which one view is used; nothing if it has none any more.
pub(crate) fn use_one(row: HeldRow) -> Option<HeldRow> {
    let unused = row.unused.checked_sub(1).filter(|_| !row.in_return)?;
    Some(HeldRow { unused, ..row })
}

/// How many views can still be shown.
pub(crate) fn usable(held: &[HeldRow]) -> u32 {
    held.iter().filter(|row| !row.in_return).fold(0, |sum, row| sum.saturating_add(row.unused))
}

/// A checkout that begins to be given back: from now on its views cannot be shown. What was used before is not given back.
pub(crate) fn give_back(row: HeldRow) -> HeldRow {
    HeldRow { in_return: true, ..row }
}

/// Whether nothing is left of a checkout, so that it can be forgotten. One that is being given back is not: the directory has
/// not confirmed it.
pub(crate) fn is_spent(row: HeldRow) -> bool {
    row.unused == 0 && !row.in_return
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(byte: u8) -> ViewId {
        ViewId::from([byte; 16])
    }

    fn open(byte: u8, views: u32, owned: bool) -> OpenRow {
        OpenRow { view: id(byte), views, owned }
    }

    fn held(byte: u8, unused: u32, in_return: bool) -> HeldRow {
        HeldRow { checkout: id(byte), unused, in_return }
    }

    #[test]
    fn a_view_that_was_left_open_is_taken_up_and_one_in_use_is_not() {
        for (rows, expected) in [
            (vec![], Take::Begin(1)),
            (vec![open(1, 1, true)], Take::Begin(1)),
            (vec![open(1, 1, false)], Take::Resume(open(1, 1, false))),
            (vec![open(1, 1, true), open(2, 1, false), open(3, 1, false)], Take::Resume(open(2, 1, false))),
        ] {
            assert_eq!(take_view(&rows), expected, "{rows:?}");
        }
    }

    #[test]
    fn a_checkout_that_was_left_open_is_taken_up_if_it_is_of_the_same_number() {
        let rows = [open(1, 3, true), open(2, 2, false), open(3, 3, false)];
        for (views, expected) in [
            (Some(3), Take::Resume(rows[2])),
            (Some(2), Take::Resume(rows[1])),
            (Some(4), Take::Begin(4)),
            (None, Take::Resume(rows[1])),
        ] {
            assert_eq!(take_checkout(&rows, views), expected, "{views:?}");
        }
        assert_eq!(take_checkout(&rows[..1], Some(3)), Take::Begin(3));
        assert_eq!(take_checkout(&rows[..1], None), Take::Nothing);
        assert_eq!(take_checkout(&[], None), Take::Nothing);
    }

    #[test]
    fn the_first_checkout_that_has_a_view_and_is_not_in_return_is_next() {
        for (checkouts, expected) in [
            (vec![], None),
            (vec![held(1, 0, false)], None),
            (vec![held(1, 1, false)], Some(held(1, 1, false))),
            (vec![held(1, 0, false), held(2, 3, true), held(3, 2, false)], Some(held(3, 2, false))),
            (vec![held(2, 3, true)], None),
        ] {
            assert_eq!(next_held(&checkouts), expected, "{checkouts:?}");
        }
    }

    #[test]
    fn a_held_view_is_counted_down_once_and_never_below_nothing_or_in_return() {
        assert_eq!(use_one(held(1, 2, false)), Some(held(1, 1, false)));
        assert_eq!(use_one(held(1, 1, false)), Some(held(1, 0, false)));
        assert_eq!(use_one(held(1, 0, false)), None);
        assert_eq!(use_one(held(1, 2, true)), None);
    }

    #[test]
    fn views_that_are_being_given_back_are_not_usable() {
        assert_eq!(usable(&[]), 0);
        assert_eq!(usable(&[held(1, 2, false), held(2, 3, true), held(3, 4, false)]), 6);
        assert_eq!(usable(&[held(1, u32::MAX, false), held(2, 1, false)]), u32::MAX);
    }

    #[test]
    fn a_checkout_keeps_its_count_when_it_is_given_back() {
        assert_eq!(give_back(held(1, 3, false)), held(1, 3, true));
        assert_eq!(give_back(held(1, 3, true)), held(1, 3, true));
    }

    #[test]
    fn a_checkout_is_forgotten_when_nothing_of_it_is_left_or_in_return() {
        for (unused, in_return, spent) in
            [(0, false, true), (1, false, false), (0, true, false), (1, true, false)]
        {
            assert_eq!(is_spent(held(1, unused, in_return)), spent);
        }
    }
}
