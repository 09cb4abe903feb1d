//! What `--help` says. Scripts and habits rest on it.

use anyhow::Result;

use crate::folder::Folder;

#[test]
fn the_commands_and_exit_codes_are_listed() -> Result<()> {
    let help = Folder::empty()?.run(&["--help"]).done()?;
    insta::assert_snapshot!(help, @r#"
    The command line of Millstream: keeps the databases of several applications in step.

    Usage: millstream [OPTIONS] <COMMAND>

    Commands:
      demo          Run four applications in a folder, and prove at the end that their databases agree
      init          Write a configuration file to start from
      migrate       Make our tables in the applications' databases
      run           Send outboxes and apply what arrives, until stopped
      publish       Publish one event, or many from a file or stdin
      streams       Show streams, their shards, how far each application is, and who holds what back
      tail          Show the last events of a stream
      trim          Remove now from streams what every application has settled
      dead-letters  Look at events that could not be applied, and those that wait behind them
      outbox        Turn changes of an application's own tables into events
      acl           Print what users of a Redis need to be allowed, for each role
      config        Look at the configuration
      bench         Measure this machine: one consumer against the floor under it
      completions   Print a completion script for a shell
      help          Print this message or the help of the given subcommand(s)

    Options:
      -c, --config <FILE>  The configuration file [default: millstream.toml]
          --json           Print JSON on stdout, and JSON lines of the log on stderr
      -q, --quiet          Print less on stderr: no progress, only warnings
      -h, --help           Print help
      -V, --version        Print version

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 configuration, tables or input cannot be used, 4
    refused, 5 a database or the transport is away, 6 databases differ, 7 an event could not be applied
    "#);
    Ok(())
}

#[test]
fn every_command_explains_itself() -> Result<()> {
    let folder = Folder::empty()?;
    for command in [
        "demo",
        "init",
        "migrate",
        "run",
        "publish",
        "streams",
        "tail",
        "dead-letters",
        "config",
        "bench",
        "completions",
    ] {
        let help = folder.run(&[command, "--help"]).done()?;
        assert!(help.contains("Usage: millstream"), "{help}");
    }
    let version = folder.run(&["--version"]).done()?;
    assert_eq!(
        version,
        format!("millstream {}\n", env!("CARGO_PKG_VERSION"))
    );
    assert!(
        folder
            .run(&["completions", "bash"])
            .done()?
            .contains("dead-letters")
    );
    Ok(())
}
