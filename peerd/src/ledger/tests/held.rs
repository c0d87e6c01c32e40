//! Held views, and whose clock counts.

use super::*;

/// The system's clock is more than fifty years ahead of the directory's in these.
const END: i64 = 3_600_000;

#[tokio::test]
async fn a_fast_clock_here_refuses_nothing_and_destroys_nothing() {
    let bench = bench().await;
    bench.change(|grant| grant.expires_at = Some(Timestamp(END))).await;
    for told in [None, Some(1_000)] {
        if let Some(time) = told {
            bench.told(time).await;
        }
        assert_eq!(read(bench.view().await.unwrap()), b"a picture", "{told:?}");
        let held = bench.held().await;
        if held == 0 {
            checkout(&bench.ledger, &arg(), 1).await.unwrap();
        }
    }
    assert_eq!(read(bench.view_held().await.unwrap()), b"a picture");
}

#[tokio::test]
async fn held_views_are_not_shown_after_their_end_and_are_kept() {
    let bench = bench().await;
    checkout(&bench.ledger, &arg(), 2).await.unwrap();
    bench.change(|grant| grant.expires_at = Some(Timestamp(END))).await;
    bench.told(END).await;
    let error = bench.view_held().await.unwrap_err();
    assert_eq!((error.code, error.reason), (Code::Denied, Some(Reason::Expired)));
    assert_eq!(bench.held().await, 2, "an end destroys nothing");
    // The directory says what time it is, also if that is earlier.
    bench.told(END - 600_000).await;
    assert_eq!(read(bench.view_held().await.unwrap()), b"a picture");
    bench.told(END).await;
    bench.change(|grant| grant.expires_at = Some(Timestamp(2 * END))).await;
    assert_eq!(read(bench.view_held().await.unwrap()), b"a picture");
    assert_eq!(bench.held().await, 0);
}

#[tokio::test]
async fn what_seems_to_have_expired_here_is_for_the_directory_to_say() {
    let bench = bench().await;
    bench.change(|grant| grant.expires_at = Some(Timestamp(END))).await;
    bench.told(2 * END).await;
    assert_eq!(read(bench.view().await.unwrap()), b"a picture");
}

#[tokio::test]
async fn a_checkout_without_the_owners_consent_is_denied_before_anything_is_spent() {
    let bench = bench().await;
    bench.change(|grant| grant.allow_offline = false).await;
    let error = checkout(&bench.ledger, &arg(), 1).await.unwrap_err();
    assert_eq!((error.code, error.reason), (Code::Denied, Some(Reason::NotOffline)));
    assert_eq!(error.hint.as_deref(), Some("dosctl request 7xKqPm2R/sea --offline"));
    assert_eq!(bench.spent(), 0);
    // Allowed just now, which is not known here yet.
    {
        let mut state = bench.directory.state();
        (state.grant.allow_offline, state.grant.revision) = (true, Revision(9));
    }
    assert_eq!(checkout(&bench.ledger, &arg(), 1).await.unwrap().held, 1);
}

#[tokio::test]
async fn an_interrupted_held_view_is_used_and_a_checkin_agrees() {
    let bench = bench().await;
    checkout(&bench.ledger, &arg(), 3).await.unwrap();
    let opened = bench.view_held().await.unwrap();
    assert_eq!((opened.views_left, bench.held().await), (Allowance::Views(2), 2), "before the first byte");
    drop(opened);
    assert_eq!(read(bench.view_held().await.unwrap()), b"a picture");
    checkin(&bench.ledger, &arg(), false).await.unwrap();
    let unused: Vec<_> = bench.directory.state().returned.iter().map(|checkin| checkin.unused).collect();
    assert_eq!((unused, bench.held().await), (vec![1], 0));
}

#[tokio::test]
async fn a_damaged_copy_costs_no_held_view() {
    let bench = bench().await;
    checkout(&bench.ledger, &arg(), 1).await.unwrap();
    let hash = bench.directory.state().grant.sealed.hash;
    let path = bench.ledger.cache.copies.path(&hash);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[1..]).unwrap();
    let error = bench.view_held().await.unwrap_err();
    assert_eq!((error.code, bench.held().await), (Code::Invalid, 1));
    fs::write(&path, whole).unwrap();
    assert_eq!(read(bench.view_held().await.unwrap()), b"a picture");
}
