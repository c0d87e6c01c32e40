//! A page of metrics, asked for as a scraper does and read strictly, as the specification of OpenMetrics 1.0 has it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use crate::stage::{PATIENCE, wait_until};

/// The address that a daemon has written into its log.
#[track_caller]
pub(crate) fn address_in(log: impl Fn() -> String) -> SocketAddr {
    let find = || {
        let log = log();
        let line = log.lines().rfind(|line| line.contains("metrics are served"))?;
        line.rsplit_once("listen=")?.1.parse().ok()
    };
    wait_until("the metrics are served", || find().is_some());
    find().unwrap()
}

/// The status and the body of what is there.
pub(crate) fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    if path == "/metrics" {
        assert!(head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
    }
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.into())
}

/// All samples by name with labels, as they stand there.
#[derive(Debug)]
pub(crate) struct Samples(BTreeMap<String, f64>);

impl Samples {
    #[track_caller]
    pub(crate) fn of(address: SocketAddr) -> Self {
        let (status, text) = get(address, "/metrics");
        assert_eq!(status, 200);
        Self::parse(&text)
    }

    #[track_caller]
    fn parse(text: &str) -> Self {
        let mut samples = BTreeMap::new();
        let mut families = BTreeSet::new();
        let (mut name, mut kind) = (String::new(), String::new());
        let body = text.strip_suffix("# EOF\n").unwrap();
        for line in body.lines() {
            let words: Vec<&str> = line.splitn(4, ' ').collect();
            match words.as_slice() {
                ["#", "HELP", family, help] => {
                    assert!(families.insert((*family).to_owned()), "twice: {line}");
                    assert!(!help.is_empty(), "{line}");
                    (name, kind) = ((*family).to_owned(), String::new());
                }
                ["#", "TYPE", family, of] => {
                    assert_eq!(*family, name);
                    kind = (*of).to_owned();
                }
                ["#", "UNIT", family, unit] => {
                    assert_eq!(*family, name);
                    assert!(name.ends_with(&format!("_{unit}")), "{line}");
                }
                _ => {
                    let (series, value) = line.rsplit_once(' ').unwrap();
                    let suffix = series.split('{').next().unwrap().strip_prefix(&name).unwrap();
                    let suffixes: &[&str] = match &*kind {
                        "counter" => &["_total"],
                        "gauge" => &[""],
                        "histogram" => &["_bucket", "_sum", "_count"],
                        "info" => &["_info"],
                        other => panic!("{other}: {line}"),
                    };
                    assert!(suffixes.contains(&suffix), "{line}");
                    let value: f64 = value.parse().unwrap();
                    assert!(samples.insert(series.to_owned(), value).is_none(), "twice: {line}");
                }
            }
        }
        Self(samples)
    }

    /// The value of this series; 0 if it is not there.
    pub(crate) fn value(&self, series: &str) -> f64 {
        self.0.get(series).copied().unwrap_or_default()
    }

    /// The names of all samples, without labels.
    pub(crate) fn names(&self) -> BTreeSet<&str> {
        self.0.keys().filter_map(|series| series.split('{').next()).collect()
    }
}
