use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use super::folder::Folder;

/// The names of this machine.
const HERE: &str = "DNS:localhost,IP:127.0.0.1,IP:0:0:0:0:0:0:0:1";

const ELSEWHERE: &str = "DNS:elsewhere.example";

const DAYS: &str = "2";

/// What TLS needs: an authority, and what it has signed; and another one, whom nobody knows.
///
/// The files are there as long as this, or anything that comes from it.
#[derive(Clone, Debug)]
pub struct Certificates(Arc<Folder>);

impl Certificates {
    /// Makes new ones by `openssl`.
    ///
    /// # Errors
    ///
    /// If `openssl` is missing or refuses.
    pub async fn generate() -> Result<Self> {
        let this = Self(Arc::new(Folder::new()?));
        for authority in ["authority", "stranger"] {
            this.authorize(authority).await?;
        }
        for (name, by, names) in [
            ("server", "authority", HERE),
            ("misnamed", "authority", ELSEWHERE),
            ("client", "authority", ELSEWHERE),
            ("foreign", "stranger", ELSEWHERE),
        ] {
            this.sign(name, by, names).await?;
        }
        Ok(this)
    }

    /// The certificate of the authority, in PEM.
    pub fn authority(&self) -> PathBuf {
        self.path("authority.pem")
    }

    /// The certificate of an authority that has signed none of the servers.
    pub fn stranger(&self) -> PathBuf {
        self.path("stranger.pem")
    }

    /// A server whose names are `localhost` and the addresses of it.
    pub fn server(&self) -> Identity {
        self.identity("server")
    }

    /// A server with the name of another machine.
    pub fn misnamed_server(&self) -> Identity {
        self.identity("misnamed")
    }

    /// A client whom the authority knows.
    pub fn client(&self) -> Identity {
        self.identity("client")
    }

    /// A client whom only the stranger knows.
    pub fn foreign_client(&self) -> Identity {
        self.identity("foreign")
    }

    fn identity(&self, name: &'static str) -> Identity {
        Identity {
            certificates: self.clone(),
            name,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    async fn authorize(&self, name: &str) -> Result<()> {
        let (key, certificate) = (format!("{name}.key"), format!("{name}.pem"));
        let subject = format!("/CN=millstream {name}");
        let files = ["-keyout", &key, "-out", &certificate];
        let about = ["-subj", &subject, "-days", DAYS];
        self.openssl(&[&["req", "-x509"], NEW_KEY, &files, &about].concat())
            .await
    }

    async fn sign(&self, name: &str, by: &str, names: &str) -> Result<()> {
        let [key, request, certificate, extensions] =
            ["key", "csr", "pem", "ext"].map(|suffix| format!("{name}.{suffix}"));
        let [by_key, by_certificate] = ["key", "pem"].map(|suffix| format!("{by}.{suffix}"));
        let subject = format!("/CN=millstream {name}");
        let files = ["-keyout", &key, "-out", &request, "-subj", &subject];
        self.openssl(&[&["req"], NEW_KEY, &files].concat()).await?;

        let text = format!("basicConstraints=critical,CA:FALSE\nsubjectAltName={names}\n");
        fs::write(self.path(&extensions), text)?;
        let signed = ["x509", "-req", "-in", &request, "-out", &certificate];
        let signer = ["-CA", &by_certificate, "-CAkey", &by_key, "-CAcreateserial"];
        let about = ["-days", DAYS, "-extfile", &extensions];
        self.openssl(&[&signed[..], &signer, &about].concat()).await
    }

    async fn openssl(&self, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new("openssl");
        command
            .args(arguments)
            .current_dir(self.0.path())
            .kill_on_drop(true);
        let output = command
            .output()
            .await
            .context("openssl, which makes certificates")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "openssl {arguments:?}: {said}");
        Ok(())
    }
}

const NEW_KEY: &[&str] = &[
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
];

/// A certificate and its key.
#[derive(Clone, Debug)]
pub struct Identity {
    certificates: Certificates,
    name: &'static str,
}

impl Identity {
    /// The certificate, in PEM.
    pub fn certificate(&self) -> PathBuf {
        self.certificates.path(&format!("{}.pem", self.name))
    }

    /// Its key, in PEM.
    pub fn key(&self) -> PathBuf {
        self.certificates.path(&format!("{}.key", self.name))
    }

    /// The authority that clients and servers trust, whoever has signed this one.
    pub(crate) fn authority(&self) -> PathBuf {
        self.certificates.authority()
    }

    /// Copies both into a folder, for a server that wants to own its key, and says where they are.
    pub(crate) fn copy_into(&self, folder: &Path) -> Result<(PathBuf, PathBuf)> {
        let copy = |from: PathBuf, name: &str| -> Result<PathBuf> {
            let to = folder.join(name);
            fs::copy(from, &to)?;
            fs::set_permissions(&to, fs::Permissions::from_mode(0o600))?;
            Ok(to)
        };
        Ok((
            copy(self.certificate(), "server.pem")?,
            copy(self.key(), "server.key")?,
        ))
    }
}
