use anyhow::{Context as _, Result, ensure};
use millstream_testkit::server::{Cluster, Flavour, Server};

const KEY: &str = "stream:{a:0}";

/// What a node says to a command about the key, if it is not an answer.
async fn redirect(node: &Server) -> Result<Option<String>> {
    Ok(match node.query::<u64>(&["XLEN", KEY]).await {
        Ok(_) => None,
        Err(error) => Some(error.code().context("an error reply")?.to_owned()),
    })
}

async fn add(node: &Server) -> Result<()> {
    node.command(&["XADD", KEY, "*", "field", "value"]).await?;
    Ok(())
}

#[tokio::test]
async fn its_nodes_share_the_slots() -> Result<()> {
    for flavour in Flavour::SUPPORTED {
        let cluster = Cluster::start(flavour).await?;
        let url = cluster.url();
        let hosts = url.strip_prefix("redis+cluster://").context("its scheme")?;
        let hosts = hosts.split(',').map(|host| format!("redis://{host}"));
        let client = redis::cluster::ClusterClient::new(hosts.collect::<Vec<_>>())?;
        let mut connection = client.get_async_connection().await?;
        for number in 0..100 {
            let mut set = redis::cmd("SET");
            let () = set
                .arg(number)
                .arg(number)
                .query_async(&mut connection)
                .await?;
        }
        let mut keys = 0;
        for master in &cluster.nodes()[..3] {
            let some: u64 = master.query(&["DBSIZE"]).await?;
            ensure!(some > 10, "{some} of 100 keys are at one of three masters");
            keys += some;
        }
        ensure!(keys == 100);
    }
    Ok(())
}

#[tokio::test]
async fn a_slot_moves_step_by_step() -> Result<()> {
    for flavour in Flavour::SUPPORTED {
        let cluster = Cluster::start(flavour).await?;
        let from = cluster.master_of(KEY).await?;
        let to = cluster.masters_without(KEY).await?[0];
        add(from).await?;
        ensure!(redirect(to).await?.as_deref() == Some("MOVED"));

        let moving = cluster.move_slot(KEY, to).await?;
        ensure!(redirect(from).await?.is_none(), "the key is still there");
        ensure!(redirect(to).await?.as_deref() == Some("MOVED"));
        moving.key(KEY).await?;
        ensure!(redirect(from).await?.as_deref() == Some("ASK"));
        ensure!(
            redirect(to).await?.as_deref() == Some("MOVED"),
            "without ASKING"
        );
        let mut asking = redis::pipe();
        asking.cmd("ASKING").ignore().cmd("XLEN").arg(KEY);
        let (length,): (u64,) = asking.query_async(&mut to.connect().await?).await?;
        ensure!(length == 1);

        moving.finish().await?;
        ensure!(redirect(from).await?.as_deref() == Some("MOVED"));
        ensure!(redirect(to).await?.is_none());
        ensure!(cluster.master_of(KEY).await?.address() == to.address());

        for number in 0..250 {
            let key = format!("{number}:{{a:0}}");
            to.command(&["SET", &key, "1"]).await?;
        }
        cluster.moved_slot(KEY, from).await?;
        ensure!(from.query::<u64>(&["DBSIZE"]).await? == 251);
        ensure!(to.query::<u64>(&["DBSIZE"]).await? == 0);
    }
    Ok(())
}

mod crash {
    use super::*;

    async fn a_replica_takes_over(flavour: Flavour) -> Result<()> {
        let cluster = Cluster::start(flavour).await?;
        let master = cluster.master_of(KEY).await?;
        add(master).await?;
        ensure!(master.query::<u64>(&["WAIT", "1", "20000"]).await? == 1);

        let old = cluster.kill_master_of(KEY).await?;
        ensure!(old.address() == master.address() && !old.is_running());
        let new = cluster.failed_over(old, KEY).await?;
        ensure!(new.address() != old.address());
        add(new).await?;
        ensure!(new.query::<u64>(&["XLEN", KEY]).await? == 2);

        cluster.rejoin(old).await?;
        ensure!(
            redirect(old).await?.as_deref() == Some("MOVED"),
            "it is a replica now"
        );
        ensure!(cluster.master_of(KEY).await?.address() == new.address());
        Ok(())
    }

    #[tokio::test]
    async fn a_replica_takes_over_on_redis() -> Result<()> {
        a_replica_takes_over(Flavour::Redis).await
    }

    #[tokio::test]
    async fn a_replica_takes_over_on_valkey() -> Result<()> {
        a_replica_takes_over(Flavour::Valkey).await
    }
}
