//! The address under which a browser finds the gallery behind a proxy.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, de};

/// The longest that is taken: a host has at most 253 characters.
const BYTES_MAX: usize = 300;

/// Why an address cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the address of a gallery is http:// or https://, a host of a-z, 0-9, '.' and '-' or [an IPv6 address], and perhaps a port"
)]
pub struct GalleryUrlError;

/// An origin (RFC 6454) in the one spelling in which browsers send it: lower case, without the port that goes without saying.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GalleryUrl {
    text: Box<str>,
    host_at: usize,
}

impl GalleryUrl {
    /// Scheme, host and port, without a slash at the end.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.text
    }

    /// Host and port, as in the `Host` of a request.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.text[self.host_at..]
    }

    /// Whether the browser speaks TLS with the proxy.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.text.starts_with("https:")
    }
}

fn is_name(host: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
    !host.is_empty() && host.chars().all(is_letter)
}

impl FromStr for GalleryUrl {
    type Err = GalleryUrlError;

    fn from_str(text: &str) -> Result<Self, GalleryUrlError> {
        if text.len() > BYTES_MAX {
            return Err(GalleryUrlError);
        }
        let text = text.strip_suffix('/').unwrap_or(text).to_ascii_lowercase();
        let (scheme, rest) = text.split_once("://").ok_or(GalleryUrlError)?;
        let unsaid = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return Err(GalleryUrlError),
        };
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, Some(port.parse::<u16>().map_err(|_| GalleryUrlError)?))
            }
            _ => (rest, None),
        };
        let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_address = address.is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
        if !is_name(host) && !is_address {
            return Err(GalleryUrlError);
        }
        let port = port.filter(|port| *port != unsaid).map(|port| format!(":{port}")).unwrap_or_default();
        Ok(Self { text: format!("{scheme}://{host}{port}").into(), host_at: scheme.len() + 3 })
    }
}

impl fmt::Display for GalleryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for GalleryUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_spelled_as_browsers_spell_it() {
        let spelled =
            |text: &str| text.parse::<GalleryUrl>().map(|url| (url.to_string(), url.host().to_owned()));
        let is = |origin: &str, host: &str| Ok((origin.to_owned(), host.to_owned()));
        assert_eq!(spelled("https://Pictures.Example/"), is("https://pictures.example", "pictures.example"));
        assert_eq!(
            spelled("https://pictures.example:443"),
            is("https://pictures.example", "pictures.example")
        );
        assert_eq!(spelled("http://localhost:8080"), is("http://localhost:8080", "localhost:8080"));
        assert_eq!(spelled("http://[::1]:80"), is("http://[::1]", "[::1]"));
        assert!("https://a".parse::<GalleryUrl>().is_ok_and(|url| url.is_secure()));
        assert!("http://a".parse::<GalleryUrl>().is_ok_and(|url| !url.is_secure()));
    }

    #[test]
    fn anything_else_is_refused() {
        let long = format!("https://{}", "a".repeat(300));
        for text in [
            "",
            "pictures.example",
            "ftp://a",
            "https://",
            "https://a/b",
            "https://a:b",
            "https://a@b",
            "https://a b",
            "https://a:65536",
            "https://\u{430}.example",
            "http://[::1",
            "https://a?b",
            "https://a\"",
            &long,
        ] {
            assert_eq!(text.parse::<GalleryUrl>(), Err(GalleryUrlError), "{text:?}");
        }
    }
}
