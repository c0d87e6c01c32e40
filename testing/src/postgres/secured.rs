//! A server that is spoken to over TLS and with a password, as one on another machine.

use std::{fs, net::TcpListener, os::unix::fs::chown, path::PathBuf, process::Command};

use super::{Postgres, USER, done};

/// How to speak to it.
#[derive(Debug)]
pub struct Secured {
    /// The port at `localhost` and 127.0.0.1.
    pub port: u16,
    /// The file with the certificate of its authority.
    pub authority: PathBuf,
    /// The file with the certificate of another one.
    pub stranger: PathBuf,
}

impl Postgres {
    /// Makes certificates, lets the user in at 127.0.0.1 with this password over TLS alone, and starts it anew.
    ///
    /// # Panics
    /// If that is not possible.
    #[must_use]
    pub fn secure(&self, password: &str) -> Secured {
        let at = |name: &str| self.home.join(name);
        let openssl = |args: &str| {
            let args = args.split_whitespace();
            done(&Command::new("openssl").current_dir(&self.home).args(args).output().expect("no openssl"));
        };
        let fresh = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        for authority in ["authority", "stranger"] {
            openssl(&format!(
                "req -x509 {fresh} -keyout {authority}.key -out {authority}.pem -subj /CN={authority} -days 2"
            ));
        }
        openssl(&format!("req {fresh} -keyout server.key -out server.csr -subj /CN=server"));
        fs::write(at("names"), "subjectAltName = DNS:localhost").expect("the names cannot be written");
        openssl(
            "x509 -req -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial -extfile names -days 2 \
             -out server.pem",
        );
        if let Some((user, group)) = self.runs_as {
            for file in ["server.key", "server.pem"] {
                chown(at(file), Some(user), Some(group)).expect("a file cannot be given away");
            }
        }
        self.sql("postgres", &format!("ALTER USER {USER} PASSWORD '{password}'"));
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.expect("there is no free port").port();
        for (setting, value) in [
            ("ssl", "on"),
            ("ssl_cert_file", &at("server.pem").display().to_string()),
            ("ssl_key_file", &at("server.key").display().to_string()),
            ("listen_addresses", "localhost"),
        ] {
            self.sql("postgres", &format!("ALTER SYSTEM SET {setting} = '{value}'"));
        }
        let users = "local all all trust\nhostssl all all localhost scram-sha-256\n";
        fs::write(self.data().join("pg_hba.conf"), users).expect("the users cannot be written");
        self.port.store(port, std::sync::atomic::Ordering::Relaxed);
        self.kill();
        self.start();
        Secured { port, authority: at("authority.pem"), stranger: at("stranger.pem") }
    }
}
