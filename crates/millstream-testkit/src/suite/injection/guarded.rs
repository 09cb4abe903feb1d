use crate::suite::Site;

/// A table that nobody may touch.
const CANARY: &str = "CREATE TABLE canary (id INTEGER PRIMARY KEY, word VARCHAR(64));
                      INSERT INTO canary VALUES (1, 'sings'), (2, NULL);";
const UNTOUCHED: [&str; 2] = ["1|sings", "2|NULL"];

/// What is to stay as it was.
pub(super) struct Guarded<S> {
    pub(super) site: S,
    objects: Vec<String>,
}

impl<S: Site> Guarded<S> {
    pub(super) async fn make(tables: &str) -> Self {
        let site = S::make("").await;
        site.execute(CANARY).await.unwrap();
        if !tables.is_empty() {
            site.execute(tables).await.unwrap();
        }
        let objects = Self::objects(&site).await;
        assert!(objects.iter().any(|name| name == "canary"), "{objects:?}");
        Self { site, objects }
    }

    async fn objects(site: &S) -> Vec<String> {
        let mut objects = site.rows(S::OBJECTS).await;
        objects.sort();
        objects
    }

    pub(super) async fn assert_untouched(&self) {
        let found = self.site.rows("SELECT id, word FROM canary ORDER BY id");
        assert_eq!(found.await, UNTOUCHED);
        assert_eq!(Self::objects(&self.site).await, self.objects);
    }
}
