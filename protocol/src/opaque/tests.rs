//! Both sides of OPAQUE against each other, and against one that lies.

use std::time::{Duration, Instant};

use super::*;
use crate::password::Password;

const ALICE: &[u8] = b"alice";

/// BLAKE3 of the setup of the key whose seed is 32 ones.
const SETUP_HASH: &str = "e78dd5f1725e00d5679fc03470c5e0bc95ef57da1e7f9b54144702e1a24a0807";

fn password(text: &str) -> Password {
    text.parse().unwrap()
}

fn secret(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

fn setup() -> Setup {
    Setup::derive(&secret(1)).unwrap()
}

fn key() -> PublicKey {
    secret(1).public().unwrap()
}

fn registered(setup: &Setup, text: &str) -> Registered {
    let (registering, request) = Registering::begin(password(text)).unwrap();
    registering.finish(&setup.register(ALICE, &request).unwrap(), &key()).unwrap()
}

fn login(setup: &Setup, text: &str, record: Option<&[u8]>) -> Result<ExportKey, OpaqueError> {
    let (logging_in, request) = LoggingIn::begin(password(text))?;
    let (pending, answer) = setup.login(ALICE, record, &request)?;
    let proved = logging_in.finish(&answer, &key())?;
    pending.finish(&proved.finalization)?;
    Ok(proved.export_key)
}

#[test]
fn only_the_password_gives_the_export_key_and_a_record_never_shows_it() {
    let setup = setup();
    let registered = registered(&setup, "correct horse");
    check_record(&registered.record).unwrap();
    let record = Some(registered.record.as_slice());
    assert_eq!(login(&setup, "correct horse", record).unwrap(), registered.export_key);
    assert_eq!(login(&setup, "correct house", record), Err(OpaqueError::Refused));
    assert_eq!(login(&setup, "correct horse", None), Err(OpaqueError::Refused));
    assert!(!registered.record.windows(8).any(|window| registered.export_key.as_bytes().starts_with(window)));
    assert_eq!(check_record(&registered.record[1..]), Err(OpaqueError::Malformed));
    assert_eq!(check_record(&[0xff; RECORD_BYTES]), Err(OpaqueError::Malformed));
}

#[test]
fn another_setup_another_credential_and_another_directory_are_refused() {
    let setup = setup();
    let record = registered(&setup, "correct horse").record;
    let other = Setup::derive(&secret(2)).unwrap();
    assert_eq!(login(&other, "correct horse", Some(&record)), Err(OpaqueError::Refused));
    let (logging_in, request) = LoggingIn::begin(password("correct horse")).unwrap();
    let (_, answer) = setup.login(b"bob", Some(&record), &request).unwrap();
    assert_eq!(logging_in.finish(&answer, &key()).unwrap_err(), OpaqueError::Refused);
    // A directory in between that has another key and passes everything on.
    let (logging_in, request) = LoggingIn::begin(password("correct horse")).unwrap();
    let (_, answer) = setup.login(ALICE, Some(&record), &request).unwrap();
    let between = secret(2).public().unwrap();
    assert_eq!(logging_in.finish(&answer, &between).unwrap_err(), OpaqueError::Refused);
}

#[test]
fn an_altered_answer_is_refused_wherever_it_is_altered() {
    let setup = setup();
    let record = registered(&setup, "correct horse").record;
    let (_, sample) = setup
        .login(ALICE, Some(&record), &LoggingIn::begin(password("x".repeat(8).as_str())).unwrap().1)
        .unwrap();
    // One byte of each part: the element, the nonce, the masked response, the key exchange, the MAC.
    for at in [40, 70, 190, 230, sample.len() - 1] {
        let (logging_in, request) = LoggingIn::begin(password("correct horse")).unwrap();
        let (_, mut answer) = setup.login(ALICE, Some(&record), &request).unwrap();
        answer[at] ^= 1;
        assert!(logging_in.finish(&answer, &key()).is_err(), "byte {at}");
    }
    for bad in [&sample[1..], &[0; 320], b"x"] {
        let (logging_in, _) = LoggingIn::begin(password("correct horse")).unwrap();
        assert_eq!(logging_in.finish(bad, &key()).unwrap_err(), OpaqueError::Malformed);
    }
}

#[test]
fn an_altered_proof_is_refused() {
    let setup = setup();
    let record = registered(&setup, "correct horse").record;
    let (logging_in, request) = LoggingIn::begin(password("correct horse")).unwrap();
    let (pending, answer) = setup.login(ALICE, Some(&record), &request).unwrap();
    let mut proof = logging_in.finish(&answer, &key()).unwrap().finalization;
    proof[0] ^= 1;
    assert_eq!(pending.finish(&proof), Err(OpaqueError::Refused));
    let (pending, _) = setup.login(ALICE, None, &request).unwrap();
    assert_eq!(pending.finish(&proof[1..]), Err(OpaqueError::Malformed));
}

#[test]
fn answers_look_alike_with_and_without_a_record() {
    let setup = setup();
    let record = registered(&setup, "correct horse").record;
    let (_, request) = LoggingIn::begin(password("correct horse")).unwrap();
    let answer = |record| setup.login(ALICE, record, &request).unwrap().1;
    let [with, again, without] = [answer(Some(record.as_slice())), answer(Some(&record)), answer(None)];
    assert_eq!(with.len(), without.len());
    // The element is that of the credential; everything else is new each time.
    assert_eq!((&with[..32], &with[..32]), (&again[..32], &without[..32]));
    assert_ne!(with[32..64], again[32..64]);
    assert_ne!(with[64..], again[64..]);
    assert!(matches!(setup.login(ALICE, None, &request[1..]), Err(OpaqueError::Malformed)));
    assert!(matches!(setup.register(ALICE, &[0; 32]), Err(OpaqueError::Malformed)));
}

/// Every password that is set depends on these bytes: no version of a library may change them.
#[test]
fn the_setup_of_a_key_stays_the_same() {
    let bytes = setup().setup.serialize();
    assert_eq!(blake3::hash(&bytes).to_hex().as_str(), SETUP_HASH);
    assert_ne!(Setup::derive(&secret(2)).unwrap().setup.serialize(), bytes);
}

#[test]
fn nothing_is_shown() {
    let (registering, _) = Registering::begin(password("correct horse")).unwrap();
    let (logging_in, request) = LoggingIn::begin(password("correct horse")).unwrap();
    let (pending, _) = setup().login(ALICE, None, &request).unwrap();
    let shown = format!("{registering:?} {logging_in:?} {:?} {pending:?}", setup());
    assert_eq!(shown, "Registering(..) LoggingIn(..) Setup(..) PendingLogin(..)");
}

#[test]
fn an_answer_without_a_record_costs_as_much_as_one_with() {
    let setup = setup();
    let record = registered(&setup, "correct horse").record;
    let (_, request) = LoggingIn::begin(password("correct horse")).unwrap();
    let mut least = [Duration::MAX; 2];
    let alike = |[with, without]: [Duration; 2]| without * 5 > with * 4 && with * 5 > without * 4;
    // A busy machine makes some take longer; the least of many comes near to what the work is.
    for attempt in 0..1000 {
        if attempt > 10 && alike(least) {
            break;
        }
        for (least, record) in least.iter_mut().zip([Some(record.as_slice()), None]) {
            let begun = Instant::now();
            drop(setup.login(ALICE, record, &request).unwrap());
            *least = begun.elapsed().min(*least);
        }
    }
    assert!(alike(least), "with and without: {least:?}");
}
