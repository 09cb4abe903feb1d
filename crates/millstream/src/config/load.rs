use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use millstream_core::mapping::Problem;
use millstream_core::name::{AppName, StreamName};
use millstream_engine::relay::StreamOptions;
use millstream_sql::identifier::Prefix;

use crate::app::{App, SHARDS_DEFAULT};
use crate::config::check::Checker;
use crate::config::database::Database;
use crate::config::error::{Error, Finding};
use crate::config::file::{self, File};
use crate::config::mapping::{self, Places};
use crate::config::place;
use crate::config::reach;
use crate::config::sources;
use crate::config::streams;
use crate::config::transport::Transport;
use crate::handlers::Handlers;

/// Events of one transaction, at most: more only hold locks for longer.
const BATCH_MAX: usize = 10_000;

/// How long after its time an event of the shared stream may be published again and still be told from
/// news.
const REPUBLISHED_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A configuration that makes sense in itself.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file that it was read from.
    pub path: PathBuf,
    /// Where events travel.
    pub transport: Transport,
    /// The applications, by name.
    pub apps: BTreeMap<AppName, App>,
    /// The streams that have a section of their own.
    pub streams: BTreeMap<StreamName, StreamOptions>,
    text: String,
    places: BTreeMap<AppName, Vec<Places>>,
    /// Where each source names its table.
    tables: BTreeMap<AppName, Vec<Range<usize>>>,
}

impl Config {
    /// Reads and checks a file. Relative files in it are relative to its folder.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be read, or with everything that is wrong in it, each with its
    /// line and what to do.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let text = fs::read_to_string(path).map_err(|source| Error::Read {
            path: path.into(),
            source,
        })?;
        Self::parse(path, text)
    }

    fn parse(path: &Path, text: String) -> Result<Self, Error> {
        let file: File = match toml::from_str(&text) {
            Ok(file) => file,
            Err(error) => {
                let span = error.span().unwrap_or(0..0);
                let finding = Finding::new(path, &text, span, error.message(), None);
                return Err(Error::Findings(vec![finding]));
            }
        };
        let mut config = Self {
            path: path.into(),
            transport: Transport::Memory,
            apps: BTreeMap::new(),
            streams: BTreeMap::new(),
            text: String::new(),
            places: BTreeMap::new(),
            tables: BTreeMap::new(),
        };
        let mut checker = Checker {
            path,
            text: &text,
            findings: Vec::new(),
        };
        config.read(file, &mut checker);
        if !checker.findings.is_empty() {
            return Err(Error::Findings(checker.findings));
        }
        config.text = text;
        Ok(config)
    }

    fn read(&mut self, file: File, checker: &mut Checker<'_>) {
        let folder = self.path.parent().unwrap_or(Path::new("")).to_path_buf();
        if let Some(transport) = reach::read(file.transport, &folder, checker) {
            self.transport = transport;
        }
        self.streams = streams::read(file.streams, checker);
        for (name, app) in file.apps {
            let Some(name) = checker.take(name.span(), AppName::new(name.get_ref())) else {
                continue;
            };
            let Some((database, connections)) = place::read(&app, &folder, checker) else {
                continue;
            };
            if let Some(other) = self
                .apps
                .values()
                .find(|other| other.location().is_same(&database))
            {
                let message = format!("{name} and {} share one database", other.name());
                let help = "give each application a database of its own".to_owned();
                checker.find(app.database.span(), message, Some(help));
            }
            self.read_app(&name, app, database, connections, checker);
        }
        if self.apps.is_empty() && checker.findings.is_empty() {
            let help = "add a section [apps.NAME] with database = \"sqlite:FILE\"".to_owned();
            checker.find(0..0, "no application is configured", Some(help));
        }
    }

    fn read_app(
        &mut self,
        name: &AppName,
        file: file::App,
        database: Database,
        connections: Option<usize>,
        checker: &mut Checker<'_>,
    ) {
        let mut streams = |names: Vec<Spanned<String>>| -> Vec<StreamName> {
            names
                .into_iter()
                .filter_map(|name| checker.take(name.span(), StreamName::new(name.get_ref())))
                .collect()
        };
        let publishes = streams(file.publishes)
            .into_iter()
            .map(|name| self.stream(&name))
            .collect();
        let subscribes = streams(file.subscribes);
        let prefix = file
            .table_prefix
            .and_then(|prefix| checker.take(prefix.span(), Prefix::new(prefix.get_ref())));
        let lease = file.lease.and_then(|lease| checker.duration(&lease));
        let conflict_deadline = file
            .conflict_deadline
            .and_then(|deadline| checker.duration(&deadline));
        let inbox_retention =
            self.inbox_retention(file.inbox_retention.as_ref(), &subscribes, checker);
        if let Some(batch_max) = &file.batch_max
            && !(1..=BATCH_MAX).contains(batch_max.get_ref())
        {
            checker.find(
                batch_max.span(),
                format!("batch_max goes from 1 to {BATCH_MAX}"),
                None,
            );
        }
        let (mappings, places) = file
            .map
            .into_iter()
            .filter_map(|map| mapping::read(map, checker))
            .unzip();
        let (sources, tables) = sources::read(file.source, checker).into_iter().unzip();
        self.tables.insert(name.clone(), tables);
        self.places.insert(name.clone(), places);
        self.apps.insert(
            name.clone(),
            App {
                name: name.clone(),
                database,
                connections,
                notify: file.notify.is_some_and(Spanned::into_inner),
                prefix: prefix.unwrap_or_default(),
                publishes,
                subscribes,
                mappings,
                sources,
                handlers: Handlers::default(),
                lease,
                batch_max: file.batch_max.map(Spanned::into_inner),
                conflict_deadline,
                stuck_after: None,
                inbox_retention: Some(inbox_retention),
                take_over: false,
                parallel: file.parallel,
                claim_idle: None,
                from_oldest: false,
                begin_generation: false,
            },
        );
    }

    /// How long an inbox is kept: longer than what its streams keep can come again.
    fn inbox_retention(
        &self,
        text: Option<&Spanned<String>>,
        subscribes: &[StreamName],
        checker: &mut Checker<'_>,
    ) -> Duration {
        let streams = subscribes.iter().map(|name| self.stream(name).retention);
        let least = streams.max().unwrap_or_default() + REPUBLISHED_MAX;
        let Some((text, retention)) = text.and_then(|text| Some((text, checker.duration(text)?)))
        else {
            return least;
        };
        if retention < least {
            let day = 24 * 60 * 60;
            let days = least.as_secs().div_ceil(day);
            let message = format!("inbox_retention is at least {days}d here");
            let help =
                "it has to outlive the streams by 30 days: what comes again later than that is \
                        applied again"
                    .to_owned();
            checker.find(text.span(), message, Some(help));
        }
        retention
    }

    /// How a stream is kept, by its section or by default.
    pub fn stream(&self, name: &StreamName) -> StreamOptions {
        let configured = self.streams.get(name).cloned();
        configured.unwrap_or_else(|| StreamOptions::new(name.clone(), SHARDS_DEFAULT))
    }

    /// Finds the line of a problem that only the tables could tell.
    pub fn locate(&self, app: &AppName, problem: &Problem) -> Finding {
        let places = self
            .places
            .get(app)
            .and_then(|maps| maps.get(problem.mapping));
        let span = places.map_or(0..0, |places| places.find(&problem.part));
        Finding::new(
            &self.path,
            &self.text,
            span,
            &problem.message,
            problem.help.clone(),
        )
    }

    /// Finds the line of a source, counted from 0, about which only the database could tell something.
    pub fn locate_source(&self, app: &AppName, source: usize, message: &str) -> Finding {
        let tables = self.tables.get(app);
        let span = tables.and_then(|tables| tables.get(source)).cloned();
        Finding::new(
            &self.path,
            &self.text,
            span.unwrap_or_default(),
            message,
            None,
        )
    }
}
