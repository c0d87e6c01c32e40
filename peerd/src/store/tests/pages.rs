//! Long lists in pages.

use dos_protocol::{ImageNo, control::ContactRequest, directory::Block, limits::PAGE_MAX};

use super::*;

/// More than fits a page, and no multiple of one.
const MANY: u64 = 1_203;

fn numbered(number: u64) -> PeerId {
    (0..).map(|more| PeerId::COUNT / 2 + number * 100 + more).find_map(PeerId::from_number).unwrap()
}

fn grants(of: impl Fn(u64) -> Grant) -> Vec<Incoming> {
    (1..=MANY).map(|number| granted(number, of(number))).collect()
}

fn named(no: u64) -> ImagePath {
    // Some names occur more than once, as that of a removed image does.
    ImagePath { owner: me(), name: name(&format!("sea {}", no % 700)) }
}

#[tokio::test]
async fn given_grants_are_read_in_pages_each_once_and_in_order() {
    let bench = bench().await;
    let given = |no| Grant { image: ImageNo(no), path: named(no), ..grant(me(), other(), 1) };
    bench.apply(grants(given)).await.unwrap();
    let (mut all, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = bench.store.given(me(), after).await.unwrap();
        assert!(page.len() <= usize::try_from(PAGE_MAX).unwrap());
        let Some(last) = page.last() else { break };
        after = Some((last.path.name.clone(), last.viewer, last.image));
        all.extend(page);
        pages += 1;
    }
    assert_eq!((pages, all.len()), (3, 1_203));
    let place = |grant: &Grant| (grant.path.name.to_string(), grant.viewer, grant.image);
    assert!(all.is_sorted_by(|one, next| place(one) < place(next)));
}

#[tokio::test]
async fn received_grants_are_read_in_pages_each_once_and_in_order() {
    let bench = bench().await;
    let received = |no| {
        let owner = numbered(no % 3);
        Grant { image: ImageNo(no), path: ImagePath { owner, ..named(no) }, ..received(1) }
    };
    bench.apply(grants(received)).await.unwrap();
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = bench.store.received(me(), after).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.path.owner, last.path.name.clone(), last.image));
        all.extend(page);
    }
    assert_eq!(all.len(), 1_203);
    let place = |grant: &Grant| (grant.path.owner, grant.path.name.to_string(), grant.image);
    assert!(all.is_sorted_by(|one, next| place(one) < place(next)));
}

#[tokio::test]
async fn every_missing_copy_is_found_the_newest_images_first() {
    let bench = bench().await;
    bench.apply(grants(|no| Grant { image: ImageNo(no), ..received(1) })).await.unwrap();
    // Its owner is a contact: this peer has granted to it.
    bench.store.take_grant(Grant { image: ImageNo(MANY + 1), ..grant(me(), other(), 1) }).await.unwrap();
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let page = bench.store.lacking(me(), before).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.image);
        all.extend(page.iter().map(|grant| grant.image.0));
    }
    assert_eq!(all, (1..=MANY).rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn requests_are_read_in_pages_of_bounded_bytes() {
    let bench = bench().await;
    let long: Box<str> = "x".repeat(1_000).into();
    let request = |number: u64| Request {
        request: number,
        note: Some(long.clone()),
        state: if number.is_multiple_of(3) { RequestState::Approved } else { RequestState::Pending },
        ..asked(1, RequestState::Pending)
    };
    bench.store.take_requests((1..=MANY).map(request).collect()).await.unwrap();
    for (all, expected) in [(true, 1_203), (false, 802)] {
        let (mut found, mut after) = (Vec::new(), 0);
        loop {
            let page = bench.store.requests((true, all), after).await.unwrap();
            let Some(last) = page.last() else { break };
            assert!(page.len() < 300, "{} of 1,000 bytes each are too many for a frame", page.len());
            after = last.request;
            found.extend(page.iter().map(|request| request.request));
        }
        assert_eq!(found.len(), expected);
        assert!(found.is_sorted_by(|one, next| one < next));
    }
    assert_eq!(bench.store.requests((false, true), 0).await.unwrap(), []);
}

#[tokio::test]
async fn requests_for_contact_and_blocks_are_read_in_pages() {
    let bench = bench().await;
    let blocks: Vec<Block> = (1..=MANY)
        .map(|number| {
            // Some were blocked in the same millisecond.
            let since = Timestamp(i64::try_from(number / 10).unwrap());
            Block { peer: numbered(number), name: None, since }
        })
        .collect();
    assert!(bench.store.take_blocks(0, blocks.clone()).await.unwrap());
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = bench.store.blocked_peers(after).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.clone());
        found.extend(page);
    }
    assert_eq!(found, blocks);
    bench
        .store
        .write(|connection| {
            for number in 1..=MANY {
                let sql = "INSERT INTO contacts (peer, state, created_at) VALUES (?1, ?2, 0)";
                let state = if number > 2 { "denied" } else { "pending" };
                execute(connection, sql, params![id(numbered(number)), state])?;
            }
            Ok(())
        })
        .await
        .unwrap();
    let (mut numbers, mut after) = (Vec::new(), 0);
    loop {
        let page = bench.store.contacts(true, after).await.unwrap();
        let Some(ContactRequest { number, .. }) = page.last() else { break };
        after = *number;
        numbers.extend(page.iter().map(|contact| contact.number));
    }
    assert_eq!(numbers, (1..=MANY).collect::<Vec<_>>());
    assert_eq!(bench.store.contacts(false, 0).await.unwrap().len(), 2);
}
